"""How other services keep up: snapshot, log, bus, and what happens when the bus or the database fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from smartscale.common.v1 import common_pb2
from smartscale.registry.v1 import registry_pb2 as pb
from smartscale.types.v1 import user_pb2 as user_types

from services.registry.change_codec import ProtoFactCodec
from services.registry.model.errors import UnavailableError
from services.registry.model.fact import UserPut
from services.registry.model.user import User
from services.registry.outbox import Outbox
from services.registry.store import Record
from services.registry.usecases.draft import Draft
from services.registry.usecases.ledger import Ledger
from services.registry.wiring import RegistryService
from services.shared.bus import Bus, MemoryBus, Message
from services.shared.ids import DEFAULT_TAILNET, UserId
from services.shared.rpc import LocalChannel, LocalServer, ObserveInterceptor, OutgoingChannel
from services.shared.telemetry import Telemetry
from tests.fakes.clock import FakeClock
from tests.fakes.registry import TOPIC, RegistryClient, machine, node_key, start_registry
from tests.fakes.registry_store import FakeRegistryStore

CODEC = ProtoFactCodec(DEFAULT_TAILNET)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[tuple[RegistryService, RegistryClient, Bus]]:
    service, channel, bus = await start_registry(tmp_path)
    yield service, RegistryClient(channel), bus
    await service.stop()


async def snapshot(registry: RegistryClient, tailnet: str = "") -> list[pb.GetSnapshotResponse]:
    return [part async for part in registry.stub.GetSnapshot(pb.GetSnapshotRequest(tailnet_id=tailnet))]


def batch(message: object) -> common_pb2.ChangeBatch:
    assert isinstance(message, Message)
    return common_pb2.ChangeBatch.FromString(message.payload)


async def test_a_change_is_on_the_bus_before_its_caller_is_answered(
    running: tuple[RegistryService, RegistryClient, Bus],
) -> None:
    _, registry, bus = running
    async with bus.subscribe(TOPIC) as messages:
        user = await registry.user("alice")
        async with asyncio.timeout(1):
            got = batch(await anext(messages))
    assert (got.tailnet_id, got.service, [record.seq for record in got.records]) == ("default", "registry", [1])
    assert pb.Change.FromString(got.records[0].payload).user_put == user


async def test_a_snapshot_is_one_position_in_parts(running: tuple[RegistryService, RegistryClient, Bus]) -> None:
    _, registry, _ = running
    alice = await registry.user("alice")
    await asyncio.gather(
        *(registry.admit(machine(number), node_key(number), user_id=alice.id) for number in range(1, 601))
    )
    parts = await snapshot(registry)
    assert {part.seq for part in parts} == {601}
    assert [(len(part.nodes), len(part.users)) for part in parts] == [(0, 0), (0, 1), (500, 0), (100, 0)]
    assert [node for part in parts for node in part.nodes] == await registry.nodes()


async def test_an_empty_tailnet_has_a_snapshot_too(running: tuple[RegistryService, RegistryClient, Bus]) -> None:
    parts = await snapshot(running[1])
    assert [(part.seq, len(part.nodes)) for part in parts] == [(0, 0)]


async def test_another_tailnet_does_not_exist(running: tuple[RegistryService, RegistryClient, Bus]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await snapshot(running[1], "other")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_a_position_ahead_of_the_log_or_behind_what_is_kept_asks_for_a_snapshot(
    running: tuple[RegistryService, RegistryClient, Bus],
) -> None:
    service, registry, _ = running
    for name in ("alice", "bob", "carol"):
        await registry.user(name)

    async def trim(draft: Draft) -> None:
        await draft.transaction.trim(1, draft.now, 1)

    await service.ledger.commit(trim)
    answers = {
        after: await registry.stub.GetChanges(pb.GetChangesRequest(after=after)) for after in (0, 1, 2, 3, 4, 1 << 63)
    }
    seen = {after: (answer.reset, [record.seq for record in answer.records]) for after, answer in answers.items()}
    assert seen == {0: (True, []), 1: (True, []), 2: (False, [3]), 3: (False, []), 4: (True, []), 1 << 63: (True, [])}
    assert {answer.last for answer in answers.values()} == {3}


async def test_what_was_committed_and_not_published_is_noticed_after_a_restart(tmp_path: Path) -> None:
    bus = MemoryBus()
    first, channel, _ = await start_registry(tmp_path, bus=MemoryBus())
    await RegistryClient(channel).user("alice")
    await first.stop()
    async with asyncio.timeout(10), bus.subscribe(TOPIC) as messages:
        second, _, _ = await start_registry(tmp_path, bus=bus)
        assert [record.seq for record in batch(await anext(messages)).records] == [1]
    await second.stop()


class _Published:
    def __init__(self) -> None:
        self.records: list[Record] = []

    async def publish(self, records: object) -> None:
        self.records.extend(records)  # type: ignore[call-overload]


def a_user(number: int, name: str) -> UserPut:
    return UserPut(User(id=UserId(number), name=name, created_at=FakeClock().now()))


async def ledger_on(store: FakeRegistryStore) -> tuple[Ledger, _Published]:
    published = _Published()
    ledger = Ledger(store, CODEC, published.publish, FakeClock())
    await ledger.start()
    return ledger, published


async def create(ledger: Ledger, number: int, name: str) -> None:
    async def work(draft: Draft) -> None:
        draft.record(a_user(number, name))

    await ledger.commit(work)


async def test_a_commit_that_fails_is_neither_seen_nor_published(caplog: pytest.LogCaptureFixture) -> None:
    store = FakeRegistryStore(CODEC)
    ledger, published = await ledger_on(store)
    await create(ledger, 1, "alice")
    store.failures = 1
    with pytest.raises(UnavailableError):
        await create(ledger, 2, "bob")
    assert await ledger.read(lambda state: [user.name for user in state.users.values()]) == ["alice"]
    await create(ledger, 2, "bob")
    assert [record.seq for record in published.records] == [1, 2]
    assert not [record for record in caplog.records if record.exc_info]
    await ledger.stop()


async def test_a_work_that_spoils_the_batch_fails_alone() -> None:
    store = FakeRegistryStore(CODEC)
    ledger, published = await ledger_on(store)
    results = await asyncio.gather(
        create(ledger, 1, "alice"), create(ledger, 2, "alice"), create(ledger, 3, "carol"), return_exceptions=True
    )
    assert [isinstance(result, UnavailableError) for result in results] == [False, True, False]
    assert await ledger.read(lambda state: sorted(user.name for user in state.users.values())) == ["alice", "carol"]
    assert [record.seq for record in published.records] == [1, 2]
    await ledger.stop()


async def test_a_work_with_a_bug_fails_alone(caplog: pytest.LogCaptureFixture) -> None:
    store = FakeRegistryStore(CODEC)
    ledger, _ = await ledger_on(store)

    async def broken(draft: Draft) -> None:
        draft.record(a_user(7, "ghost"))
        raise ZeroDivisionError

    results = await asyncio.gather(
        create(ledger, 1, "alice"), ledger.commit(broken), create(ledger, 3, "carol"), return_exceptions=True
    )
    assert [isinstance(result, UnavailableError) for result in results] == [False, True, False]
    assert await ledger.read(lambda state: sorted(user.name for user in state.users.values())) == ["alice", "carol"]
    await ledger.stop()


async def test_two_ledgers_on_one_store_see_each_other_at_once() -> None:
    store = FakeRegistryStore(CODEC)
    (one, _), (two, _) = await ledger_on(store), await ledger_on(store)
    await create(one, 1, "alice")
    assert await two.read(lambda state: [user.name for user in state.users.values()]) == ["alice"]
    await create(two, 2, "bob")
    await create(one, 3, "carol")
    assert await two.read(lambda state: state.position) == await one.read(lambda state: state.position) == 3
    await one.stop()
    await two.stop()


async def test_a_ledger_that_fell_behind_the_kept_log_loads_anew() -> None:
    store = FakeRegistryStore(CODEC)
    (one, _), (two, _) = await ledger_on(store), await ledger_on(store)
    for number in range(1, 6):
        await create(one, number, f"user{number}")
    async with store.transaction() as rows:
        await rows.trim(1, FakeClock().now(), 1)
    assert await two.read(lambda state: (state.position, len(state.users))) == (5, 5)
    await one.stop()
    await two.stop()


async def test_calls_to_a_stopped_ledger_are_refused() -> None:
    ledger, _ = await ledger_on(FakeRegistryStore(CODEC))
    await ledger.stop()
    with pytest.raises(UnavailableError):
        await create(ledger, 1, "alice")


async def test_a_queue_that_is_full_refuses_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.registry.usecases.ledger.CAPACITY", 3)
    store = FakeRegistryStore(CODEC)
    ledger, _ = await ledger_on(store)
    async with store.transaction():  # hold the lock: nothing can be written
        calls = [asyncio.create_task(create(ledger, number, f"user{number}")) for number in range(1, 9)]
        done, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        refused = [task for task in done if isinstance(task.exception(), UnavailableError)]
    await asyncio.wait(calls)
    assert refused
    stored = await ledger.read(lambda state: len(state.users))
    assert stored == sum(task.exception() is None for task in calls) > 0
    await ledger.stop()


async def test_a_caller_that_gave_up_is_skipped() -> None:
    store = FakeRegistryStore(CODEC)
    ledger, _ = await ledger_on(store)
    async with store.transaction():
        first = asyncio.create_task(create(ledger, 1, "alice"))
        await asyncio.wait([first], timeout=0.05)  # it holds the ledger now
        second = asyncio.create_task(create(ledger, 2, "bob"))
        await asyncio.wait([second], timeout=0.01)
        second.cancel()
    await first
    assert await ledger.read(lambda state: [user.name for user in state.users.values()]) == ["alice"]
    await ledger.stop()


async def test_large_batches_are_published_in_parts() -> None:
    bus = MemoryBus()
    outbox = Outbox(bus, FakeRegistryStore(CODEC), DEFAULT_TAILNET)
    async with bus.subscribe(TOPIC) as messages:
        await outbox.publish([Record(seq, b"x" * 200_000) for seq in range(1, 6)])
        seen = [[record.seq for record in batch(await anext(messages)).records] for _ in range(3)]
    assert seen == [[1, 2], [3, 4], [5]]


async def test_the_trace_of_a_call_goes_on_through_commit_and_bus(tmp_path: Path) -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    telemetry = Telemetry(tracer=provider.get_tracer("test"), tracing=True)
    service, _, bus = await start_registry(tmp_path, telemetry=telemetry)
    server = LocalServer([ObserveInterceptor(telemetry)])
    service.add_to(server)
    channel = OutgoingChannel([LocalChannel(server)])
    async with bus.subscribe(TOPIC) as messages:
        with telemetry.tracer.start_as_current_span("caller") as caller:
            await RegistryClient(channel).user("alice")
        message = await anext(messages)
    await service.stop()
    wanted = f"{caller.get_span_context().trace_id:032x}"
    commits = [span for span in spans.get_finished_spans() if span.name == "registry commit"]
    assert f"{commits[-1].context.trace_id:032x}" == wanted
    assert isinstance(message, Message) and message.traceparent.split("-")[1] == wanted


async def test_a_read_that_raises_fails_alone(running: tuple[RegistryService, RegistryClient, Bus]) -> None:
    service, registry, _ = running
    found = await asyncio.gather(
        service.ledger.read(lambda state: state.position),
        service.ledger.read(lambda state: 1 // state.position),
        registry.user("alice"),
        service.ledger.read(lambda state: len(state.users)),
        return_exceptions=True,
    )
    assert isinstance(found[1], UnavailableError)
    assert [type(one) for one in found if one is not found[1]] == [int, user_types.User, int]
