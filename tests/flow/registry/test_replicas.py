"""Two registries on one database: no address twice, no name twice, nothing lost, timers act once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from smartscale.registry.v1 import registry_pb2 as pb
from sqlalchemy import text

from services.registry.wiring import RegistryService
from services.shared.bus import MemoryBus
from services.shared.config.model import DatabaseConfig
from services.shared.db.database import create_engine
from tests.fakes import postgres
from tests.fakes.clock import FakeClock
from tests.fakes.registry import RegistryClient, machine, node_key, registry_config, start_registry

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Pair:
    """Two replicas with one clock and one bus."""

    def __init__(self, services: list[RegistryService], clients: list[RegistryClient], clock: FakeClock) -> None:
        self.services = services
        self.one, self.two = clients
        self.clients = clients
        self.clock = clock


@pytest.fixture
def server() -> Iterator[DatabaseConfig]:
    if postgres.programs() is None:
        pytest.skip(postgres.MISSING)
    with postgres.postgres() as config:
        yield config


@pytest.fixture(params=["sqlite", "postgres"])
async def pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pair]:
    config, clock, bus = registry_config(tmp_path), FakeClock(START), MemoryBus()
    if request.param == "postgres":
        config = replace(config, database=request.getfixturevalue("server"))
    # Together, so that both bring the tables up at once.
    started = await asyncio.gather(*(start_registry(tmp_path, config=config, clock=clock, bus=bus) for _ in range(2)))
    services = [service for service, _, _ in started]
    yield Pair(services, [RegistryClient(channel) for _, channel, _ in started], clock)
    for service in services:
        await service.stop()


async def test_admissions_at_once_on_both_collide_in_nothing(pair: Pair) -> None:
    alice = await pair.one.user("alice")
    nodes = await asyncio.gather(
        *(
            pair.clients[number % 2].admit(machine(number), node_key(number), user_id=alice.id)
            for number in range(1, 201)
        )
    )
    for field in ("id", "stable_id", "ipv4", "ipv6", "given_name"):
        assert len({getattr(node, field) for node in nodes}) == 200, field
    assert await pair.one.nodes() == await pair.two.nodes() == sorted(nodes, key=lambda node: node.id)
    log = await pair.one.changes()
    assert [change.seq for change in log] == list(range(1, 202))


async def test_the_same_admission_on_both_makes_one_node(pair: Pair) -> None:
    alice = await pair.one.user("alice")
    nodes = await asyncio.gather(
        *(client.admit(machine(1), node_key(1), user_id=alice.id) for client in pair.clients * 5)
    )
    assert len({node.SerializeToString() for node in nodes}) == 1
    assert len(await pair.one.nodes()) == 1


async def test_what_one_was_told_the_other_knows_at_once(pair: Pair) -> None:
    alice = await pair.one.user("alice")
    node = await pair.two.admit(machine(1), node_key(1), user_id=alice.id)
    assert (await pair.one.stub.VerifyNodeKey(pb.VerifyNodeKeyRequest(node_key=node_key(1).raw))).allow
    request = pb.UpdateNodeRequest(node_key=node_key(1).raw, endpoints=["192.0.2.2:2"], order=2, gateway_id="gw-1")
    assert await pair.one.update(machine(1), request)
    stale = pb.UpdateNodeRequest(node_key=node_key(1).raw, endpoints=["192.0.2.1:1"], order=1, gateway_id="gw-1")
    assert not await pair.two.update(machine(1), stale)
    assert list((await pair.two.node(node.id)).endpoints) == ["192.0.2.2:2"]
    await pair.two.stub.DeleteNode(pb.DeleteNodeRequest(id=node.id))
    assert await pair.one.nodes() == []


async def test_timers_of_both_tell_each_thing_once(pair: Pair) -> None:
    alice = await pair.one.user("alice")
    expiring = await pair.one.admit(machine(1), node_key(1), user_id=alice.id, expiry=START + timedelta(seconds=30))
    passing = await pair.two.admit(machine(2), node_key(2), tags=["tag:a"], ephemeral=True)
    await pair.one.sessions("gw-1", opened=[(1, expiring.id), (2, passing.id)])
    await pair.two.sessions("gw-1", stopping=True)
    before = len(await pair.one.changes())
    for _ in range(20):
        pair.clock.advance(10)
        await asyncio.gather(*(service.keeper.act() for service in pair.services))
    facts = (await pair.two.changes())[before:]
    said = [(change.WhichOneof("fact"), change.node_put.id or change.node_removed) for change in facts]
    assert sorted(said) == sorted(
        [
            ("node_put", expiring.id),
            ("node_put", passing.id),
            ("node_put", expiring.id),
            ("node_removed", passing.id),
        ]
    )


async def test_a_database_that_cuts_its_connections_costs_a_retry_and_no_data(
    server: DatabaseConfig, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service, channel, _ = await start_registry(tmp_path, config=replace(registry_config(tmp_path), database=server))
    registry = RegistryClient(channel)
    alice = await registry.user("alice")
    engine = create_engine(server)
    for number in range(1, 31):
        if number % 10 == 0:
            async with engine.connect() as connection:
                await connection.execute(
                    text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
                )
        try:
            await registry.admit(machine(number), node_key(number), user_id=alice.id)
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            await registry.admit(machine(number), node_key(number), user_id=alice.id)
    assert [node.ipv4 for node in await registry.nodes()] == [f"100.64.0.{number}" for number in range(1, 31)]
    assert not [record for record in caplog.records if record.exc_info and record.name.startswith("services.registry")]
    await engine.dispose()
    await service.stop()
