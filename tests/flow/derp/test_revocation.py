"""A relay lets go of nodes that were deleted, expired, given another key, or whose owner was suspended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from smartscale.common.v1 import common_pb2
from smartscale.registry.v1 import registry_pb2, registry_pb2_grpc
from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import user_pb2 as user_types

from services.derp import frames
from services.derp.handshake import public_key
from services.derp.registry_client import RegistryAdmission
from services.derp.revocation import Revocation
from services.derp.wiring import DerpService, build
from services.shared.bus import MemoryBus
from services.shared.ids import DEFAULT_TAILNET
from services.shared.rpc import LocalChannel, LocalServer
from services.shared.runtime.clock import SystemClock
from services.shared.runtime.process import Deps
from services.shared.telemetry import Telemetry
from tests.fakes.derp import private
from tests.fakes.derp_client import RelayClient, client
from tests.fakes.edge import until
from tests.flow.derp.test_registry_client import FakeRegistry, node_id_of, settings

TOPIC = "smartscale.default.registry.changes"
ALICE, BOB = private(3), private(4)


class House:
    """A registry, a bus and a relay."""

    def __init__(self, registry: FakeRegistry, bus: MemoryBus, service: DerpService) -> None:
        self.registry, self.bus, self.service = registry, bus, service

    async def tell(self, *changes: registry_pb2.Change) -> None:
        """Publish facts as the registry does."""
        records = [common_pb2.LogRecord(payload=change.SerializeToString()) for change in changes]
        await self.bus.publish(TOPIC, common_pb2.ChangeBatch(records=records).SerializeToString())


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    registry, bus, server = FakeRegistry(), MemoryBus(), LocalServer()
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(registry, server)  # type: ignore[no-untyped-call]
    await server.start()
    deps = Deps(SystemClock(), bus, {"registry": LocalChannel(server)}, Telemetry())
    service = await build(settings(tmp_path), deps)
    await service.start()
    yield House(registry, bus, service)
    await service.stop()
    await server.stop()


@asynccontextmanager
async def both(house: House) -> AsyncIterator[tuple[RelayClient, RelayClient]]:
    """Two nodes that the registry knows, logged in."""
    port = house.service.server.http_port
    house.registry.allowed = {public_key(key).raw for key in (ALICE, BOB)}
    async with client(port, private=ALICE) as alice, client(port, private=BOB) as bob:
        await alice.settle()
        await bob.settle()
        yield alice, bob


def _deleted(alice: RelayClient) -> registry_pb2.Change:
    return registry_pb2.Change(node_removed=node_id_of(alice.key.raw))


def _expired(alice: RelayClient) -> registry_pb2.Change:
    node = node_types.Node(id=node_id_of(alice.key.raw), node_key=alice.key.raw, expired=True)
    return registry_pb2.Change(node_put=node)


def _new_key(alice: RelayClient) -> registry_pb2.Change:
    return registry_pb2.Change(node_put=node_types.Node(id=node_id_of(alice.key.raw), node_key=bytes(32)))


def _suspended(alice: RelayClient) -> registry_pb2.Change:
    return registry_pb2.Change(user_put=user_types.User(id=1, suspended=True))


@pytest.mark.parametrize("fact", [_deleted, _expired, _new_key, _suspended])
async def test_a_node_that_may_no_longer_use_the_relay_is_cut_and_the_others_stay(
    house: House, fact: Callable[[RelayClient], registry_pb2.Change]
) -> None:
    async with both(house) as (alice, bob):
        house.registry.allowed.discard(alice.key.raw)
        await house.tell(fact(alice))
        with pytest.raises(EOFError):
            await alice.next(frames.RECV_PACKET)
        await bob.settle()
        assert len(house.service.server.relay) == 1


async def test_what_the_bus_says_is_never_believed_alone(house: House) -> None:
    async with both(house) as (alice, bob):
        asked = len(house.registry.asked)
        await house.tell(_deleted(alice), _suspended(alice))
        await until(lambda: set(house.registry.asked[asked:]) >= {alice.key.raw, bob.key.raw})
        await alice.settle()
        await bob.settle()


async def test_who_is_connected_stays_while_the_registry_is_down(house: House) -> None:
    async with both(house) as (alice, _):
        house.registry.failing = True
        asked = len(house.registry.asked)
        await house.tell(_deleted(alice))
        await until(lambda: len(house.registry.asked) > asked)
        await alice.settle()


async def test_garbage_on_the_bus_makes_the_relay_ask_about_everyone(house: House) -> None:
    async with both(house) as (alice, bob):
        house.registry.allowed.discard(bob.key.raw)
        await house.bus.publish(TOPIC, b"\xff\xff")
        with pytest.raises(EOFError):
            await bob.next(frames.RECV_PACKET)
        await alice.settle()


async def test_what_nobody_told_is_found_by_the_sweep(house: House) -> None:
    async with both(house) as (alice, bob):
        admission = house.service.revocation._admission  # type: ignore[union-attr]
        assert isinstance(admission, RegistryAdmission)
        sweeper = Revocation(MemoryBus(), DEFAULT_TAILNET, admission, house.service.server.relay, sweep_seconds=0.01)
        house.registry.allowed.discard(alice.key.raw)
        sweeper.start()
        with pytest.raises(EOFError):
            await alice.next(frames.RECV_PACKET)
        await bob.settle()
        await sweeper.stop()
        assert house.service.server.relay.counters.revoked == 1


async def test_answers_name_the_keys_of_a_node_only_while_they_are_good(house: House) -> None:
    async with both(house) as (alice, _):
        admission = house.service.revocation._admission  # type: ignore[union-attr]
        number = node_id_of(alice.key.raw)
        assert admission.keys_of(number) == {alice.key.raw}
        house.registry.allowed.clear()
        assert await admission.ask_again(alice.key) is False
        assert admission.keys_of(number) == frozenset()
