"""The policy service over its in-process channel: setting, versions, changes, file mode, and broken policies."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from smartscale.common.v1 import common_pb2
from smartscale.policy.v1 import policy_pb2 as pb
from smartscale.policy.v1 import policy_pb2_grpc
from smartscale.types.v1.node_pb2 import Subject
from smartscale.types.v1.user_pb2 import User
from sqlalchemy import text, update

from services.policy import wiring
from services.policy.sql.tables import tailnets, versions
from services.shared.access.compiled import ALLOW_ALL, DENY_ALL, CompiledPolicy
from services.shared.bus import MemoryBus, Message
from services.shared.changelog import topic
from services.shared.config.model import Config, DatabaseConfig, PolicyConfig, SqliteConfig
from services.shared.db.database import create_engine, write
from services.shared.ids import DEFAULT_TAILNET
from services.shared.rpc import LocalChannel, LocalServer
from services.shared.runtime.process import Deps
from tests.fakes.clock import FakeClock
from tests.fakes.subjects import Subjects

Run = Callable[..., AbstractAsyncContextManager[Any]]

CLOSED = '{"acls": []}'
OPEN = '{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]} // all'


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


@pytest.fixture
def database(tmp_path: Path) -> DatabaseConfig:
    return DatabaseConfig(type="sqlite", sqlite=SqliteConfig(path=tmp_path / "db.sqlite"))


@pytest.fixture
def registry() -> Subjects:
    return Subjects()


@pytest.fixture
def run(bus: MemoryBus, database: DatabaseConfig, registry: Subjects) -> Run:
    @asynccontextmanager
    async def running(mode: str = "database", path: Path | None = None) -> AsyncIterator[Any]:
        config = replace(Config(), database=database, policy=PolicyConfig(mode=mode, path=path))  # type: ignore[arg-type]
        service = await wiring.build(config, Deps(clock=FakeClock(), bus=bus, channels={"registry": registry.channel}))
        server = LocalServer()
        service.add_to(server)  # type: ignore[arg-type]
        await service.start()
        try:
            stub: Any = policy_pb2_grpc.PolicyServiceStub(LocalChannel(server))  # type: ignore[no-untyped-call]
            stub.service = service
            yield stub
        finally:
            await service.stop()

    return running


async def compiled(stub: Any) -> CompiledPolicy:
    return CompiledPolicy.from_bytes((await stub.GetCompiled(pb.GetCompiledRequest(), timeout=5)).compiled)


async def status_of(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code()


async def test_without_a_policy_everything_is_allowed(run: Run) -> None:
    async with run() as stub:
        assert await compiled(stub) == ALLOW_ALL
        assert await status_of(stub.GetPolicy(pb.GetPolicyRequest(), timeout=5)) == grpc.StatusCode.NOT_FOUND
        answer = await stub.GetChanges(pb.GetChangesRequest(after=0), timeout=5)
        assert (answer.last, answer.reset) == (0, False)


async def test_a_set_policy_is_kept_verbatim_and_published(run: Run, bus: MemoryBus) -> None:
    async with run() as stub, bus.subscribe(topic(DEFAULT_TAILNET, "policy")) as messages:
        answer = await stub.SetPolicy(pb.SetPolicyRequest(text=OPEN, author="ada", reason="open"), timeout=5)
        assert (answer.version.number, answer.version.author) == (1, "ada")
        assert (await stub.GetPolicy(pb.GetPolicyRequest(), timeout=5)).version.text == OPEN
        message = await asyncio.wait_for(anext(messages), 5)
        assert isinstance(message, Message)
        batch = common_pb2.ChangeBatch.FromString(message.payload)
        assert [record.seq for record in batch.records] == [1]
        change = pb.Change.FromString(batch.records[0].payload)
        assert change.version == 1
        assert CompiledPolicy.from_bytes(change.compiled) == await compiled(stub)
        assert list((await stub.GetChanges(pb.GetChangesRequest(after=0), timeout=5)).records) == list(batch.records)


async def test_a_refused_policy_leaves_the_old_one_in_force(run: Run) -> None:
    async with run() as stub:
        await stub.SetPolicy(pb.SetPolicyRequest(text=CLOSED), timeout=5)
        for bad in (
            '{"acls": [',
            '{"acls": [], "acl": []}',
            "just words",
            '{"grants": [{"src": ["*"], "dst": ["*"]}]}',
        ):
            code = await status_of(stub.SetPolicy(pb.SetPolicyRequest(text=bad), timeout=5))
            assert code == grpc.StatusCode.INVALID_ARGUMENT
            code = await status_of(stub.CheckPolicy(pb.CheckPolicyRequest(text=bad), timeout=5))
            assert code == grpc.StatusCode.INVALID_ARGUMENT
        assert await compiled(stub) == DENY_ALL
        listed = await stub.ListVersions(pb.ListVersionsRequest(), timeout=5)
        assert [version.number for version in listed.versions] == [1]


async def test_a_policy_whose_tests_fail_is_refused_with_every_failure(run: Run, registry: Subjects) -> None:
    policy = '{"acls": [], "hosts": {"db": "100.64.0.2"}, "tests": [{"src": "ada@", "accept": ["db:22", "db:23"]}]}'
    registry.users = [User(id=1, name="ada")]
    registry.subjects = [
        Subject(id=1, given_name="laptop", user_id=1, ipv4="100.64.0.1"),
        Subject(id=2, given_name="db", tags=["tag:x"], ipv4="100.64.0.2"),
    ]
    async with run() as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.SetPolicy(pb.SetPolicyRequest(text=policy), timeout=5)
        assert caught.value.details() == (
            "test(s) failed:\nada@ -> db:22 (any): expected ALLOWED, got DENIED\n"
            "ada@ -> db:23 (any): expected ALLOWED, got DENIED"
        )


async def test_a_policy_is_neither_checked_nor_explained_while_the_registry_is_away(
    run: Run, registry: Subjects
) -> None:
    async with run() as stub:
        registry.answers = False
        for call in (
            stub.SetPolicy(pb.SetPolicyRequest(text=OPEN), timeout=5),
            stub.CheckPolicy(pb.CheckPolicyRequest(text=OPEN), timeout=5),
            stub.PreviewPolicy(pb.PreviewPolicyRequest(text=OPEN), timeout=5),
            stub.ExplainPolicy(pb.ExplainPolicyRequest(source="a", destination="b"), timeout=5),
        ):
            assert await status_of(call) == grpc.StatusCode.UNAVAILABLE
        assert await compiled(stub) == ALLOW_ALL


async def test_a_name_that_two_users_answer_to_is_refused(run: Run, registry: Subjects) -> None:
    registry.users = [User(id=1, name="ada@example.com"), User(id=2, name="x", email="ada@example.com")]
    policy = '{"groups": {"group:g": ["ada@example.com"]}, "acls": []}'
    async with run() as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.SetPolicy(pb.SetPolicyRequest(text=policy), timeout=5)
        assert "validating policy user references: multiple users found" in (caught.value.details() or "")


async def test_if_match_guards_against_unseen_changes(run: Run) -> None:
    async with run() as stub:
        first = await stub.SetPolicy(pb.SetPolicyRequest(text=CLOSED, if_match="ts-default"), timeout=5)
        await stub.SetPolicy(pb.SetPolicyRequest(text=OPEN, if_match=first.version.etag), timeout=5)
        stale = pb.SetPolicyRequest(text=CLOSED, if_match=first.version.etag)
        assert await status_of(stub.SetPolicy(stale, timeout=5)) == grpc.StatusCode.ABORTED


async def test_a_policy_file_is_in_force_at_start_and_follows_the_file(
    run: Run, bus: MemoryBus, tmp_path: Path
) -> None:
    path = tmp_path / "policy.hujson"
    path.write_text(CLOSED)
    async with run("file", path) as stub, bus.subscribe(topic(DEFAULT_TAILNET, "policy")) as messages:
        assert await compiled(stub) == DENY_ALL
        request = pb.SetPolicyRequest(text=OPEN)
        assert await status_of(stub.SetPolicy(request, timeout=5)) == grpc.StatusCode.FAILED_PRECONDITION
        path.write_text(OPEN)
        await asyncio.wait_for(anext(messages), 10)
        assert await compiled(stub) != DENY_ALL
        version = (await stub.GetPolicy(pb.GetPolicyRequest(), timeout=5)).version
        assert (version.number, version.author, version.reason) == (2, "file", str(path))


async def test_a_hang_up_signal_reads_the_file_again(run: Run, bus: MemoryBus, tmp_path: Path) -> None:
    path = tmp_path / "policy.hujson"
    path.write_text(CLOSED)
    async with run("file", path) as stub, bus.subscribe(topic(DEFAULT_TAILNET, "policy")) as messages:
        path.write_text(OPEN)
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.wait_for(anext(messages), 10)
        assert await compiled(stub) != DENY_ALL


async def test_a_file_that_breaks_leaves_the_last_good_policy(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("acls: []\n")
    async with run("file", path) as stub:
        path.write_text("acls:\n")
        await stub.service.reload()
        assert await compiled(stub) == DENY_ALL
        path.write_bytes(b"\xff\xfe\x00")
        await stub.service.reload()
        path.unlink()
        await stub.service.reload()
        assert await compiled(stub) == DENY_ALL
    path.write_text("acls: nonsense")
    async with run("file", path) as stub:
        assert await compiled(stub) == DENY_ALL


async def test_a_broken_file_without_a_last_good_policy_denies(run: Run, tmp_path: Path) -> None:
    async with run("file", tmp_path / "missing.hujson") as stub:
        assert await compiled(stub) == DENY_ALL


async def test_an_unchanged_file_makes_no_new_version(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "policy.hujson"
    path.write_text(OPEN)
    for _ in range(3):
        async with run("file", path) as stub:
            await stub.service.reload()
            listed = await stub.ListVersions(pb.ListVersionsRequest(), timeout=5)
            assert [version.number for version in listed.versions] == [1]
            assert (await stub.GetCompiled(pb.GetCompiledRequest(), timeout=5)).seq == 1


async def test_a_broken_stored_policy_never_stops_the_start(run: Run, database: DatabaseConfig) -> None:
    async with run() as stub:
        await stub.SetPolicy(pb.SetPolicyRequest(text=OPEN), timeout=5)
        good = await compiled(stub)
    engine = create_engine(database)
    async with write(engine) as connection:
        await connection.execute(update(versions).values(text="{broken"))
    async with run() as stub:
        assert await compiled(stub) == good
    async with write(engine) as connection:
        await connection.execute(update(tailnets).values(compiled=b"{}broken"))
    async with run() as stub:
        assert await compiled(stub) == DENY_ALL
    async with write(engine) as connection:
        await connection.execute(update(versions).values(text=CLOSED))
        assert await connection.scalar(text("SELECT count(*) FROM policy_versions")) == 1
    async with run() as stub:
        assert await compiled(stub) == DENY_ALL
        assert (await stub.GetPolicy(pb.GetPolicyRequest(), timeout=5)).version.number == 1
    await engine.dispose()


async def test_an_error_text_fits_into_a_status(run: Run) -> None:
    rules = ", ".join('{"action": "accept", "src": ["nobody"], "dst": ["nowhere:1"]}' for _ in range(3000))
    async with run() as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.CheckPolicy(pb.CheckPolicyRequest(text=f'{{"acls": [{rules}]}}'), timeout=10)
        details = caught.value.details() or ""
        assert len(details.encode()) < 8000
        assert details.endswith("more lines")
