"""Freed addresses: given to others after a quarantine, and to the same device at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from smartscale.registry.v1 import registry_pb2 as pb

from services.registry.usecases.approval import NoPolicy
from services.registry.wiring import RegistryService
from services.shared.rpc import with_machine_key
from tests.fakes.clock import FakeClock
from tests.fakes.registry import RegistryClient, machine, node_key, registry_config, start_registry, with_prefixes

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTES = timedelta(minutes=1)
SMALL = "100.64.0.0/29"
"""Six addresses."""


class World:
    """A registry with a pool of six addresses and one user."""

    def __init__(self, path: Path) -> None:
        self.path, self.clock = path, FakeClock(START)
        self.service: RegistryService
        self.client: RegistryClient
        self.user_id = 0
        self.ids: dict[int, int] = {}

    async def start(self) -> None:
        """Start the registry, also again on the same database."""
        config = with_prefixes(registry_config(self.path), SMALL, "")
        self.service, channel, _ = await start_registry(self.path, config=config, clock=self.clock)
        self.client = RegistryClient(channel)
        self.user_id = self.user_id or (await self.client.user("alice")).id

    async def join(self, number: int, hostname: str = "", *, ephemeral: bool = False) -> str:
        """Admit a device with a machine key of its own. Returns its address."""
        node = await self.client.admit(
            machine(number),
            node_key(number),
            user_id=self.user_id,
            hostname=hostname or f"h{number}",
            ephemeral=ephemeral,
        )
        self.ids[number] = node.id
        return str(node.ipv4)

    async def delete(self, number: int) -> None:
        """Delete the node of a device."""
        await self.client.stub.DeleteNode(pb.DeleteNodeRequest(id=self.ids[number]))

    async def refusal(self, number: int) -> str:
        """The text that a device is refused with for want of an address."""
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await self.join(number)
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        return refused.value.details() or ""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    await made.start()
    yield made
    await made.service.stop()


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_full_pool_gives_a_freed_address_to_another_device_only_after_the_quarantine(
    world: World, restarted: bool
) -> None:
    addresses = [await world.join(number) for number in range(1, 7)]
    assert len(set(addresses)) == 6
    assert "can be assigned" not in await world.refusal(7)
    world.clock.advance(MINUTES)
    await world.delete(3)
    world.clock.advance(4 * MINUTES)
    if restarted:
        await world.service.stop()
        await world.start()
    assert "can be assigned in 361 s (node.address_quarantine)" in await world.refusal(7)
    world.clock.advance(6 * MINUTES)
    assert await world.join(7) == addresses[2]


async def test_a_pool_with_room_gives_other_addresses_first(world: World) -> None:
    addresses = [await world.join(number) for number in range(1, 6)]
    await world.delete(1)
    assert await world.join(7) not in addresses
    assert "can be assigned" in await world.refusal(8)


async def test_an_address_that_set_ip_took_from_a_node_rests_too(world: World) -> None:
    addresses = [await world.join(number) for number in range(1, 6)]
    chosen = pb.SetNodeAddressRequest(id=world.ids[1], ipv4="100.64.0.6")
    await world.client.stub.SetNodeAddress(chosen)
    await world.refusal(7)
    world.clock.advance(11 * MINUTES)
    assert await world.join(7, "h1") == addresses[0]


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("number", [1, 9])
async def test_a_deleted_device_that_joins_again_gets_its_address_and_its_given_name_back(
    world: World, number: int, restarted: bool
) -> None:
    """By its machine key, or by hostname and owner where its state was lost."""
    mine = await world.join(1, "laptop")
    await world.join(2)
    await world.client.stub.RenameNode(pb.RenameNodeRequest(id=world.ids[1], new_name="ada"))
    await world.delete(1)
    world.clock.advance(timedelta(days=3))
    assert await world.join(5, "other") != mine
    if restarted:
        await world.service.stop()
        await world.start()
    assert await world.join(number, "laptop") == mine
    node = await world.client.node(world.ids[number])
    assert (node.given_name, node.given_name_fixed) == ("ada", True)


async def test_another_owner_another_name_and_a_taken_address_get_nothing_of_it(world: World) -> None:
    mine = await world.join(1, "laptop")
    await world.join(2)
    await world.delete(1)
    bob = await world.client.user("bob")
    foreign = await world.client.admit(machine(3), node_key(3), user_id=bob.id, hostname="laptop")
    tagged = await world.client.admit(machine(4), node_key(4), tags=["tag:a"], hostname="laptop")
    assert mine not in (foreign.ipv4, tagged.ipv4, await world.join(5, "desktop"))
    world.clock.advance(timedelta(hours=1))
    await world.join(6)
    assert await world.join(7) == mine
    world.clock.advance(timedelta(hours=1))
    await world.client.stub.DeleteNode(pb.DeleteNodeRequest(id=foreign.id))
    world.clock.advance(timedelta(hours=1))
    assert await world.join(8, "laptop") != mine


async def test_a_departure_is_forgotten_after_a_month(world: World) -> None:
    mine = await world.join(1, "laptop")
    await world.join(2)
    await world.delete(1)
    world.clock.advance(timedelta(days=31))
    await world.service.keeper.act()
    assert await world.service.ledger.read(lambda state: len(state.departures)) == 0
    assert await world.join(1, "laptop") != mine


async def test_ephemeral_devices_free_their_addresses_by_logging_out_and_by_being_away(world: World) -> None:
    for number in range(1, 7):
        await world.join(number, ephemeral=True)
    world.clock.advance(timedelta(seconds=121))
    await world.service.keeper.act()
    assert await world.client.nodes() == []
    assert "can be assigned in 601 s" in await world.refusal(7)
    world.clock.advance(11 * MINUTES)
    assert len({await world.join(number, ephemeral=True) for number in range(11, 17)}) == 6


class Pooled(NoPolicy):
    """A policy whose `ipPool` keeps two addresses for tag:pooled."""

    def pools(self, node: object, owner: object) -> tuple[str, ...]:
        """The pool, for tagged nodes."""
        return ("100.64.0.4/31",) if "tag:pooled" in getattr(node, "tags", ()) else ()

    def kept_pools(self) -> tuple[str, ...]:
        """The pool."""
        return ("100.64.0.4/31",)


async def test_a_small_ip_pool_of_the_policy_lives_on(world: World) -> None:
    before = await world.join(1, "printer")
    world.service.policies.current = Pooled()

    async def pooled(number: int) -> str:
        node = await world.client.admit(machine(number), node_key(number), tags=["tag:pooled"], hostname=f"h{number}")
        world.ids[number] = node.id
        return str(node.ipv4)

    first, second = await pooled(2), await pooled(3)
    assert {first, second} == {"100.64.0.4", "100.64.0.5"}
    await world.delete(2)
    with pytest.raises(grpc.aio.AioRpcError, match=r"ipPool 100\.64\.0\.4/31; one that was freed recently"):
        await pooled(4)
    world.clock.advance(11 * MINUTES)
    assert await pooled(4) == first
    assert before not in (first, second)


async def test_the_log_has_the_departure_for_other_replicas(world: World) -> None:
    await world.join(1, "laptop")
    await world.delete(1)
    change = (await world.client.changes())[-1]
    assert change.node_removed == world.ids[1]
    assert (change.departure.ipv4, change.departure.hostname) == ("100.64.0.1", "laptop")
    assert change.departure.reason == pb.DEPARTURE_REASON_DELETED


async def test_a_machine_learns_why_its_node_is_gone_and_no_other_machine_does(world: World) -> None:
    await world.join(1)
    await world.join(2, ephemeral=True)
    await world.join(3, ephemeral=True)
    await world.delete(1)
    log_out = pb.LogOutNodeRequest(node_key=node_key(3).raw)
    await world.client.stub.LogOutNode(log_out, metadata=with_machine_key(machine(3)))
    world.clock.advance(timedelta(seconds=121))
    await world.service.keeper.act()

    async def reason(number: int) -> int:
        metadata = with_machine_key(machine(number))
        answer = await world.client.stub.GetDeparture(pb.GetDepartureRequest(), metadata=metadata)
        return int(answer.reason)

    assert [await reason(number) for number in (1, 2, 3)] == [
        pb.DEPARTURE_REASON_DELETED,
        pb.DEPARTURE_REASON_INACTIVE,
        pb.DEPARTURE_REASON_LOGGED_OUT,
    ]
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await reason(4)
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND
