"""Who is online, and what happens by itself as time passes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from smartscale.registry.v1 import registry_pb2 as pb
from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import relay_pb2 as relay_types

from services.registry.usecases import presence
from services.registry.usecases.draft import Draft
from services.registry.wiring import RegistryService
from services.shared.ids import NodeId
from services.shared.rpc.presence import checksum_of
from tests.fakes.clock import FakeClock
from tests.fakes.registry import TOPIC, RegistryClient, machine, node_key, start_registry

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


class World:
    """A registry whose time a test moves."""

    def __init__(self, path: Path, clock: FakeClock) -> None:
        self.path = path
        self.clock = clock
        self.service: RegistryService
        self.registry: RegistryClient

    async def start(self) -> None:
        self.service, channel, _ = await start_registry(self.path, clock=self.clock)
        self.registry = RegistryClient(channel)

    async def restart(self) -> None:
        await self.service.stop()
        await self.start()

    async def wait(self, seconds: float) -> None:
        """Let time pass and what is due happen."""
        self.clock.advance(seconds)
        await self.service.keeper.act()

    async def join(self, number: int = 1, ephemeral: bool = False) -> node_types.Node:
        return await self.registry.admit(machine(number), node_key(number), tags=["tag:a"], ephemeral=ephemeral)

    async def node(self, node: node_types.Node) -> node_types.Node:
        return await self.registry.node(node.id)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path, FakeClock(START))
    await world.start()
    yield world
    await world.service.stop()


async def test_a_session_makes_a_node_online_at_once(world: World) -> None:
    node = await world.join()
    assert not node.online and not node.HasField("last_seen")
    await world.registry.sessions("gw-1", opened=[(1, node.id)])
    assert (await world.node(node)).online


async def test_a_break_within_the_grace_is_told_to_nobody(world: World) -> None:
    node = await world.join()
    await world.registry.sessions("gw-1", opened=[(1, node.id)], complete=True)
    before = await world.registry.changes()
    await world.registry.sessions("gw-1", closed=[(1, node.id)])
    await world.wait(9)
    await world.registry.sessions("gw-1", opened=[(2, node.id)])
    await world.wait(9)
    assert await world.registry.changes() == before


async def test_after_the_grace_a_node_is_offline_since_the_break(world: World) -> None:
    node = await world.join()
    await world.registry.sessions("gw-1", opened=[(1, node.id)])
    world.clock.advance(100)
    await world.registry.sessions("gw-1", closed=[(1, node.id)])
    await world.wait(11)
    gone = await world.node(node)
    assert not gone.online and gone.last_seen.ToDatetime(UTC) == START + timedelta(seconds=100)
    await world.registry.sessions("gw-1", opened=[(2, node.id)])
    back = await world.node(node)
    assert back.online and not back.HasField("last_seen")


async def test_a_node_stays_online_while_another_gateway_has_a_session(world: World) -> None:
    node = await world.join()
    await world.registry.sessions("gw-1", opened=[(1, node.id)])
    await world.registry.sessions("gw-2", opened=[(1, node.id)])
    await world.registry.sessions("gw-1", closed=[(1, node.id)])
    await world.wait(20)
    assert (await world.node(node)).online


async def test_a_session_opened_and_closed_in_one_report_is_a_break(world: World) -> None:
    node = await world.join()
    await world.registry.sessions("gw-1", opened=[(1, node.id)], closed=[(1, node.id)])
    await world.wait(11)
    assert not (await world.node(node)).online


async def test_a_silent_gateway_loses_its_sessions(world: World) -> None:
    node = await world.join()
    await world.registry.sessions("gw-1", opened=[(1, node.id)], complete=True)
    await world.wait(40)
    assert not await world.registry.sessions("gw-1")
    await world.wait(40)
    assert (await world.node(node)).online
    await world.wait(6)
    await world.wait(11)
    assert not (await world.node(node)).online
    assert await world.registry.sessions("gw-1")
    assert not await world.registry.sessions("gw-1", opened=[(1, node.id)], complete=True)
    assert (await world.node(node)).online


async def test_a_stopping_gateway_ends_its_sessions(world: World) -> None:
    one, two = await world.join(1), await world.join(2)
    await world.registry.sessions("gw-1", opened=[(1, one.id), (2, two.id)])
    await world.registry.sessions("gw-2", opened=[(1, two.id)])
    await world.registry.sessions("gw-1", stopping=True)
    await world.wait(11)
    assert [(await world.node(node)).online for node in (one, two)] == [False, True]


async def test_a_complete_report_forgets_what_it_does_not_name(world: World) -> None:
    one, two = await world.join(1), await world.join(2)
    await world.registry.sessions("gw-1", opened=[(1, one.id), (2, two.id)])
    await world.registry.sessions("gw-1", opened=[(2, two.id)], complete=True)
    await world.wait(11)
    assert [(await world.node(node)).online for node in (one, two)] == [False, True]


async def test_a_long_report_is_stored_in_bounded_transactions(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "MAX_FACTS", 2)
    nodes = [await world.join(number) for number in range(1, 8)]
    ledger, opened = world.service.ledger, [(node.id, node.id) for node in nodes[:5]]
    await world.registry.sessions("gw-1", opened=[(nodes[6].id, nodes[6].id)])
    before = ledger.commits
    await world.registry.sessions("gw-1", opened=opened, complete=True)
    assert ledger.commits - before == 3
    await world.wait(11)
    assert [(await world.node(node)).online for node in nodes] == [True] * 5 + [False] * 2
    before = ledger.commits
    await world.registry.sessions("gw-1", closed=opened, lost=[number for number, _ in opened])
    assert ledger.commits - before == 3
    assert [(await world.node(node)).online for node in nodes] == [False] * 7


async def test_sessions_of_unknown_nodes_are_nothing(world: World) -> None:
    assert await world.registry.sessions("gw-1", opened=[(1, 4711)], closed=[(99, 4711)])


async def test_presence_outlives_the_registry(world: World) -> None:
    one, two = await world.join(1), await world.join(2)
    await world.registry.sessions("gw-1", opened=[(1, one.id), (2, two.id)], complete=True)
    await world.registry.sessions("gw-1", closed=[(1, one.id)])
    await world.restart()
    assert not await world.registry.sessions("gw-1")
    assert (await world.node(one)).online
    await world.wait(11)
    assert [(await world.node(node)).online for node in (one, two)] == [False, True]


async def test_a_registry_that_was_away_gives_gateways_their_time(world: World) -> None:
    node = await world.join()
    await world.registry.sessions("gw-1", opened=[(1, node.id)], complete=True)
    await world.service.stop()
    world.clock.advance(3600)
    await world.start()
    await world.wait(11)
    assert (await world.node(node)).online
    assert not await world.registry.sessions("gw-1")


@pytest.mark.statement(60)
async def test_an_ephemeral_node_is_deleted_after_it_was_away_for_the_timeout(world: World) -> None:
    node, lasting = await world.join(1, ephemeral=True), await world.join(2)
    await world.registry.sessions("gw-1", opened=[(1, node.id), (2, lasting.id)])
    for _ in range(10):
        await world.wait(40)
        await world.registry.sessions("gw-1")
    await world.registry.sessions("gw-1", closed=[(1, node.id), (2, lasting.id)])
    await world.wait(119)
    assert not (await world.node(node)).online
    await world.wait(2)
    assert await world.registry.nodes() == [await world.node(lasting)]
    assert (await world.registry.changes())[-1].node_removed == node.id


async def test_an_ephemeral_node_has_the_whole_timeout_before_its_first_map(world: World) -> None:
    node = await world.join(ephemeral=True)
    await world.wait(119)
    await world.registry.sessions("gw-1", opened=[(1, node.id)])
    await world.wait(40)
    assert (await world.node(node)).online


async def test_an_ephemeral_node_survives_that_the_registry_was_away(world: World) -> None:
    node = await world.join(ephemeral=True)
    await world.service.stop()
    world.clock.advance(3600)
    await world.start()
    await world.wait(119)
    assert await world.registry.nodes() == [node]
    await world.wait(2)
    assert await world.registry.nodes() == []


async def test_the_end_of_a_key_is_told_once(world: World) -> None:
    alice = await world.registry.user("alice")
    node = await world.registry.admit(machine(1), node_key(1), user_id=alice.id, expiry=START + timedelta(seconds=30))
    await world.wait(29)
    assert not (await world.node(node)).expired
    await world.wait(2)
    await world.wait(100)
    ended = await world.node(node)
    assert ended.expired and ended.expiry == node.expiry
    assert [change.node_put.expired for change in (await world.registry.changes())[1:]] == [False, True]


async def test_the_timer_acts_by_itself(tmp_path: Path) -> None:
    service, channel, bus = await start_registry(tmp_path)
    registry = RegistryClient(channel)
    alice = await registry.user("alice")
    soon = datetime.now(UTC) + timedelta(milliseconds=300)
    async with asyncio.timeout(10), bus.subscribe(TOPIC) as messages:
        await registry.admit(machine(1), node_key(1), user_id=alice.id, expiry=soon)
        service.timer.wake()
        while not (await registry.nodes())[0].expired:
            await anext(messages)
    await service.stop()


async def test_relays_are_told_when_new_or_changed_and_forgotten_when_silent(world: World) -> None:
    relay = relay_types.Relay(
        region_id=900, region_code="lab", region_name="Lab", name="900a", host_name="192.0.2.1", derp_port=443
    )
    for _ in range(3):
        await world.registry.stub.AnnounceRelay(pb.AnnounceRelayRequest(relay=relay))
    relay.derp_port = 8443
    await world.registry.stub.AnnounceRelay(pb.AnnounceRelayRequest(relay=relay))
    await world.wait(3599)
    await world.wait(2)
    facts = await world.registry.changes()
    assert [change.WhichOneof("fact") for change in facts] == ["relay_put", "relay_put", "relay_removed"]
    assert facts[1].relay_put == relay and facts[2].relay_removed == "900a"


async def test_thousands_of_nodes_that_are_due_at_once_share_no_transaction(world: World) -> None:
    template = await world.registry.admit(machine(1), node_key(1), tags=["tag:a"])
    ledger = world.service.ledger
    kept = await ledger.read(lambda state: state.nodes[NodeId(template.id)])

    async def add(draft: Draft) -> None:
        for number in range(2, 2502):
            fields = {"stable_id": f"n{number}", "given_name": f"node{number}", "ipv4": "", "ipv6": ""}
            key = {"machine_key": machine(number), "node_key": node_key(number)}
            draft.put_node(replace(kept, id=NodeId(number), ephemeral=True, **fields, **key))

    await ledger.commit(add)
    before = ledger.commits
    await world.wait(3600)
    assert [node.id for node in await world.registry.nodes()] == [template.id]
    assert ledger.commits - before == 3


async def test_a_node_whose_client_does_not_answer_is_offline_at_once(world: World) -> None:
    node = await world.join()
    await world.registry.sessions("gw-1", opened=[(1, node.id)])
    await world.registry.sessions("gw-1", closed=[(1, node.id)], lost=[1])
    gone = await world.node(node)
    assert not gone.online and gone.last_seen.ToDatetime(UTC) == START
    await world.wait(20)
    assert (await world.node(node)) == gone


async def test_a_lost_session_of_a_node_with_another_session_changes_nothing(world: World) -> None:
    node = await world.join()
    await world.registry.sessions("gw-1", opened=[(1, node.id)])
    await world.registry.sessions("gw-2", opened=[(1, node.id)])
    await world.registry.sessions("gw-1", closed=[(1, node.id)], lost=[1])
    await world.wait(20)
    assert (await world.node(node)).online


async def routers(world: World, *numbers: int) -> list[node_types.Node]:
    """Nodes online at one gateway that serve the same route."""
    nodes = [await world.join(number) for number in numbers]
    for number, node in zip(numbers, nodes, strict=True):
        report = pb.UpdateNodeRequest(
            node_key=node_key(number).raw,
            disco_key=bytes(32),
            hostinfo=b'{"RoutableIPs":["10.0.0.0/24"]}',
            cap_version=113,
            order=1,
            gateway_id="gw-1",
        )
        await world.registry.update(machine(number), report)
        approval = pb.SetApprovedRoutesRequest(id=node.id, routes=["10.0.0.0/24"])
        await world.registry.stub.SetApprovedRoutes(approval, timeout=10)
    await world.registry.sessions("gw-1", opened=[(node.id, node.id) for node in nodes], complete=True)
    return nodes


async def beat(world: World, *held: tuple[int, int]) -> pb.ReportSessionsResponse:
    """A gateway's beat with what it holds."""
    request = pb.ReportSessionsRequest(gateway_id="gw-1")
    request.digest.count = len(held)
    request.digest.checksum = sum(checksum_of(*session) for session in held)
    return await world.registry.stub.ReportSessions(request, timeout=10)


async def test_a_router_that_another_can_replace_has_a_short_grace(world: World) -> None:
    one, two = await routers(world, 1, 2)
    await world.registry.sessions("gw-1", closed=[(one.id, one.id)])
    await world.wait(1)
    assert (await world.node(one)).online
    await world.wait(1.5)
    assert not (await world.node(one)).online and (await world.node(two)).online


async def test_the_last_router_and_routers_that_go_together_have_the_whole_grace(world: World) -> None:
    one, two = await routers(world, 1, 2)
    await world.registry.sessions("gw-1", stopping=True)
    await world.wait(9)
    assert (await world.node(one)).online and (await world.node(two)).online
    await world.registry.sessions("gw-1", opened=[(one.id, one.id)], complete=True)
    await world.wait(3)
    assert (await world.node(one)).online and not (await world.node(two)).online
    await world.registry.sessions("gw-1", closed=[(one.id, one.id)])
    await world.wait(9)
    assert (await world.node(one)).online


async def test_a_beat_is_answered_with_the_nodes_to_probe(world: World) -> None:
    one, two = await routers(world, 1, 2)
    held = [(node.id, node.id) for node in (one, two)]
    assert list((await beat(world, *held)).probe_node_ids) == sorted((one.id, two.id))
    await world.registry.sessions("gw-1", closed=[(two.id, two.id)], lost=[two.id])
    assert list((await beat(world, held[0])).probe_node_ids) == []


async def test_a_gateway_learns_at_once_that_a_router_that_came_has_an_alternative(world: World) -> None:
    one, two = await routers(world, 1, 2)
    await world.registry.sessions("gw-1", closed=[(two.id, two.id)], lost=[two.id])
    back = pb.ReportSessionsRequest(gateway_id="gw-1")
    back.opened.add(session_id=9, node_id=two.id)
    answer = await world.registry.stub.ReportSessions(back, timeout=10)
    assert answer.names_probed and list(answer.probe_node_ids) == sorted((one.id, two.id))
    plain = await world.join(3)
    other = pb.ReportSessionsRequest(gateway_id="gw-1")
    other.opened.add(session_id=10, node_id=plain.id)
    assert not (await world.registry.stub.ReportSessions(other, timeout=10)).names_probed


async def test_a_gateway_that_holds_other_sessions_reports_all_of_them(world: World) -> None:
    node = await world.join()
    await world.registry.sessions("gw-1", opened=[(1, node.id)], complete=True)
    assert not (await beat(world, (1, node.id))).resend
    assert (await beat(world, (1, node.id), (2, node.id))).resend
    assert (await beat(world)).resend
    assert (await beat(world, (1, node.id + 1))).resend
