"""Who is the primary router of a route: kept, lost, taken back, preferred, and the same after a restart."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from smartscale.registry.v1 import registry_pb2 as pb
from smartscale.types.v1 import node_pb2 as node_types

from services.map_streamer.ingest.records import registry_fact
from services.map_streamer.snapshot import AccessSettings, Cursor, empty, fold
from services.registry.model.election import with_imported_primaries
from services.registry.usecases.draft import Draft
from services.registry.usecases.settings import RegistrySettings
from services.registry.wire import node_from_proto
from services.registry.wiring import RegistryService, settings_of
from services.shared.ids import NodeId
from tests.fakes.clock import FakeClock
from tests.fakes.registry import RegistryClient, machine, node_key, registry_config, start_registry

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
ROUTE = "10.30.0.0/24"
OTHER = "10.40.0.0/24"
R = node_types.ElectionReason


class World:
    """A registry with routers of one route, whose time and presence a test moves."""

    def __init__(self, path: Path, takeback: timedelta | None = None) -> None:
        self.path = path
        self.clock = FakeClock(START)
        self.settings: RegistrySettings = replace(settings_of(registry_config(path)), takeback=takeback)
        self.service: RegistryService
        self.registry: RegistryClient
        self._sessions = 0

    async def start(self) -> None:
        self.service, channel, _ = await start_registry(self.path, clock=self.clock, settings=self.settings)
        self.registry = RegistryClient(channel)

    async def restart(self) -> None:
        await self.service.stop()
        await self.start()

    async def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        await self.service.keeper.act()

    async def router(self, number: int, routes: tuple[str, ...] = (ROUTE,), user_id: int = 0) -> int:
        tags = () if user_id else ("tag:router",)
        node = await self.registry.admit(machine(number), node_key(number), tags=tags, user_id=user_id)
        self.clock.advance(1)
        await self.advertise(number, routes)
        await self.approve(node.id, routes)
        await self.up(node.id)
        return node.id

    async def advertise(self, number: int, routes: tuple[str, ...]) -> None:
        listed = ",".join(f'"{route}"' for route in routes)
        info = f'{{"Hostname":"r{number}","RoutableIPs":[{listed}]}}'.encode()
        await self.registry.update(
            machine(number), pb.UpdateNodeRequest(node_key=node_key(number).raw, hostinfo=info, cap_version=113)
        )

    async def approve(self, node_id: int, routes: tuple[str, ...]) -> None:
        await self.registry.stub.SetApprovedRoutes(pb.SetApprovedRoutesRequest(id=node_id, routes=routes))

    async def up(self, node_id: int) -> None:
        await self.registry.sessions("gw-1", opened=[(1000 + node_id, node_id)], complete=False)

    async def down(self, node_id: int) -> None:
        await self.registry.sessions("gw-1", closed=[(1000 + node_id, node_id)])
        await self.wait(11)

    async def prefer(self, node_id: int, *routes: str, undo: bool = False) -> node_types.Node:
        request = pb.PreferRoutesRequest(id=node_id, routes=routes, undo=undo)
        answer: pb.PreferRoutesResponse = await self.registry.stub.PreferRoutes(request)
        return answer.node

    async def term(self, route: str = ROUTE) -> tuple[int, int, int]:
        """The primary of a route, why, and who was it before; asserts that there is exactly one."""
        found = [
            (node.id, term.reason, term.former_node_id)
            for node in await self.registry.nodes()
            for term in node.primary_terms
            if route in term.routes
        ]
        (only,) = found
        return only


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    await world.start()
    yield world
    await world.service.stop()


@pytest.fixture
async def lasting(tmp_path: Path) -> AsyncIterator[World]:
    """With a takeback of five minutes."""
    world = World(tmp_path, timedelta(minutes=5))
    await world.start()
    yield world
    await world.service.stop()


async def test_the_first_router_is_elected_and_a_second_changes_nothing(world: World) -> None:
    first = await world.router(1)
    await world.router(2)
    assert await world.term() == (first, R.ELECTION_REASON_FIRST, 0)


async def test_another_takes_over_and_keeps_the_role_when_the_first_returns(world: World) -> None:
    first, second = await world.router(1), await world.router(2)
    await world.down(first)
    assert await world.term() == (second, R.ELECTION_REASON_OFFLINE, first)
    await world.up(first)
    await world.wait(86400)
    await world.up(first)
    assert (await world.term())[0] == second


async def test_the_role_survives_a_restart(world: World) -> None:
    first, second = await world.router(1), await world.router(2)
    await world.down(first)
    await world.up(first)
    before = [node.SerializeToString(deterministic=True) for node in await world.registry.nodes()]
    await world.restart()
    await world.service.keeper.act()
    assert (await world.term())[0] == second
    assert [node.SerializeToString(deterministic=True) for node in await world.registry.nodes()] == before


async def test_the_role_stays_when_nobody_can_carry_traffic(world: World) -> None:
    first, second = await world.router(1), await world.router(2)
    await world.down(second)
    await world.down(first)
    assert (await world.term())[0] == first
    await world.up(second)
    assert await world.term() == (second, R.ELECTION_REASON_OFFLINE, first)


async def test_an_older_router_takes_back_only_when_healthy_for_the_time(lasting: World) -> None:
    first, second = await lasting.router(1), await lasting.router(2)
    await lasting.down(first)
    await lasting.up(first)
    for _ in range(14):
        await lasting.wait(20)
        await lasting.registry.sessions("gw-1")
    assert (await lasting.term())[0] == second
    await lasting.wait(30)
    assert await lasting.term() == (first, R.ELECTION_REASON_TAKEBACK, second)


async def test_a_router_that_comes_and_goes_does_not_take_back(lasting: World) -> None:
    first, second = await lasting.router(1), await lasting.router(2)
    for _ in range(30):
        await lasting.down(first)
        await lasting.up(first)
        await lasting.wait(20)
    assert (await lasting.term())[0] == second


async def test_a_preferred_router_takes_over_at_once_and_again_when_it_returns(world: World) -> None:
    first, second = await world.router(1), await world.router(2)
    await world.prefer(second, ROUTE)
    assert await world.term() == (second, R.ELECTION_REASON_PREFERRED, first)
    await world.down(second)
    assert await world.term() == (first, R.ELECTION_REASON_OFFLINE, second)
    await world.up(second)
    await world.wait(30)
    assert (await world.term())[0] == first
    await world.registry.sessions("gw-1")
    await world.wait(31)
    assert await world.term() == (second, R.ELECTION_REASON_PREFERRED, first)


async def test_a_preference_is_taken_back_and_the_role_stays(world: World) -> None:
    first, second = await world.router(1), await world.router(2)
    await world.prefer(second)
    node = await world.prefer(second, undo=True)
    assert list(node.preferred_routes) == []
    assert (await world.term())[0] == second
    await world.down(second)
    assert (await world.term())[0] == first


async def test_a_route_has_one_preferred_router(world: World) -> None:
    first, second = await world.router(1), await world.router(2)
    await world.prefer(second)
    await world.prefer(first)
    preferred = {node.id: list(node.preferred_routes) for node in await world.registry.nodes()}
    assert preferred == {first: [ROUTE], second: []}
    assert (await world.term())[0] == first


async def test_a_preferred_router_that_is_offline_waits_its_turn(world: World) -> None:
    first, second = await world.router(1), await world.router(2)
    await world.down(second)
    await world.prefer(second)
    assert (await world.term())[0] == first
    await world.up(second)
    await world.wait(30)
    await world.registry.sessions("gw-1")
    await world.wait(31)
    assert (await world.term())[0] == second


@pytest.mark.parametrize(
    ("routes", "code", "text"),
    [
        (("0.0.0.0/0",), grpc.StatusCode.INVALID_ARGUMENT, "exit routes have no primary"),
        (("10.99.0.0/16",), grpc.StatusCode.FAILED_PRECONDITION, "does not route 10.99.0.0/16"),
        (("nonsense",), grpc.StatusCode.INVALID_ARGUMENT, "a route is a CIDR"),
    ],
)
async def test_a_preference_that_cannot_be_is_refused(
    world: World, routes: tuple[str, ...], code: grpc.StatusCode, text: str
) -> None:
    node_id = await world.router(1)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await world.prefer(node_id, *routes)
    assert refused.value.code() is code and text in (refused.value.details() or "")


async def test_each_cause_has_its_reason(world: World) -> None:
    user = await world.registry.user("alice")
    first, second = await world.router(1, (ROUTE, OTHER), user.id), await world.router(2, (ROUTE, OTHER))
    await world.approve(first, (ROUTE,))
    assert await world.term(OTHER) == (second, R.ELECTION_REASON_WITHDRAWN, first)
    standing = pb.Standing.STANDING_SUSPENDED
    await world.registry.stub.ChangeRights(pb.ChangeRightsRequest(user_id=user.id, standing=standing, source="test"))
    assert await world.term() == (second, R.ELECTION_REASON_SUSPENDED, first)
    await world.registry.stub.ChangeRights(
        pb.ChangeRightsRequest(user_id=user.id, standing=pb.Standing.STANDING_GOOD, source="test")
    )
    await world.registry.stub.ExpireNode(pb.ExpireNodeRequest(id=second))
    assert await world.term() == (first, R.ELECTION_REASON_KEY_EXPIRED, second)
    third = await world.router(3)
    await world.registry.stub.DeleteNode(pb.DeleteNodeRequest(id=first))
    assert await world.term() == (third, R.ELECTION_REASON_DELETED, first)


async def test_a_key_that_ends_by_itself_moves_the_role(world: World) -> None:
    first, second = await world.router(1), await world.router(2)
    ends = pb.ExpireNodeRequest(id=first)
    ends.expiry.FromDatetime(world.clock.now() + timedelta(seconds=30))
    await world.registry.stub.ExpireNode(ends)
    await world.wait(31)
    assert await world.term() == (second, R.ELECTION_REASON_KEY_EXPIRED, first)


async def test_a_route_that_nobody_offers_has_no_primary(world: World) -> None:
    first = await world.router(1)
    await world.advertise(1, ())
    assert [list(node.primary_terms) for node in await world.registry.nodes() if node.id == first] == [[]]


async def test_exit_routes_are_not_elected(world: World) -> None:
    await world.router(1, ("0.0.0.0/0", "::/0"))
    assert [list(node.primary_terms) for node in await world.registry.nodes()] == [[]]


async def test_the_presence_of_a_node_without_routes_records_one_change(world: World) -> None:
    node = await world.registry.admit(machine(7), node_key(7), tags=["tag:a"])
    before = len(await world.registry.changes())
    await world.up(node.id)
    assert len(await world.registry.changes()) == before + 1


async def test_routes_without_a_primary_get_one_at_the_start(world: World) -> None:
    first = await world.router(1)
    await world.router(2)

    async def forget(draft: Draft) -> None:
        draft.put_node(replace(draft.node(NodeId(first)), primary_terms=()))

    await world.service.ledger.commit(forget)
    await world.service.keeper.act()
    assert await world.term() == (first, R.ELECTION_REASON_FIRST, 0)


async def test_an_imported_primary_keeps_its_role(world: World) -> None:
    first, second = await world.router(1), await world.router(2)
    nodes = [replace(node_from_proto(node), primary_terms=()) for node in await world.registry.nodes()]
    imported = with_imported_primaries(nodes, {ROUTE: NodeId(second), "10.99.0.0/16": NodeId(first)}, START)

    async def bring_in(draft: Draft) -> None:
        for node in imported:
            draft.put_node(node)

    await world.service.ledger.commit(bring_in)
    await world.service.keeper.act()
    assert await world.term() == (second, R.ELECTION_REASON_IMPORTED, 0)


async def test_another_router_stands_in_until_an_imported_primary_connects(world: World) -> None:
    first, second, third = await world.router(1), await world.router(2), await world.router(3)
    for node_id in (first, second, third):
        await world.down(node_id)
    nodes = [replace(node_from_proto(node), primary_terms=(), last_seen=None) for node in await world.registry.nodes()]
    imported = with_imported_primaries(nodes, {ROUTE: NodeId(third)}, world.clock.now())

    async def bring_in(draft: Draft) -> None:
        for node in imported:
            draft.put_node(node)

    await world.service.ledger.commit(bring_in)
    await world.up(first)
    assert await world.term() == (first, R.ELECTION_REASON_STANDING_IN, third)
    await world.down(first)
    await world.up(second)
    assert await world.term() == (second, R.ELECTION_REASON_STANDING_IN, third)
    await world.up(third)
    assert await world.term() == (third, R.ELECTION_REASON_IMPORTED, second)
    await world.down(third)
    await world.up(third)
    assert await world.term() == (second, R.ELECTION_REASON_OFFLINE, third)


async def test_a_map_streamer_that_follows_the_log_names_the_same_primary_at_each_position(world: World) -> None:
    first, second = await world.router(1), await world.router(2)
    await world.prefer(second)
    await world.down(second)
    await world.up(second)
    snapshot, settings = empty(AccessSettings()), AccessSettings()
    for seq, record in enumerate(await world.registry.changes(), 1):
        fact = registry_fact(record.SerializeToString())
        assert fact is not None
        snapshot = fold(snapshot, [fact], Cursor(seq, 0), START, settings)
    assert snapshot.access.self_primary_routes(first) == (ROUTE,)
    assert snapshot.access.self_primary_routes(second) == ()
    assert (await world.term())[0] == first


async def test_a_router_of_many_routes_fails_over_in_two_terms(world: World) -> None:
    many = tuple(f"10.{number // 256}.{number % 256}.0/24" for number in range(1000))
    first, second = await world.router(1, many), await world.router(2, many)
    before = len(await world.registry.changes())
    await world.down(first)
    assert len(await world.registry.changes()) - before <= 4
    terms = {node.id: [len(term.routes) for term in node.primary_terms] for node in await world.registry.nodes()}
    assert terms == {first: [], second: [1000]}
