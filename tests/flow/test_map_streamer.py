"""The map streamer between its logs and a gateway: every message is applied by a model of a real client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from opentelemetry.sdk.trace import TracerProvider
from smartscale.common.v1 import common_pb2
from smartscale.map_streamer.v1 import map_streamer_pb2 as pb
from smartscale.map_streamer.v1 import map_streamer_pb2_grpc
from smartscale.registry.v1 import registry_pb2

from services.map_streamer.ingest import Sources
from services.shared.access.compiled import (
    ALLOW_ALL,
    Alias,
    AliasKind,
    Capability,
    CompiledPolicy,
    Grant,
    NetworkAccess,
    SshRule,
)
from services.shared.config.model import DerpConfig, DnsConfig
from services.shared.rpc import LocalChannel
from tests.fakes.change_logs import changed, key, make_node, make_user
from tests.fakes.clock import FakeClock
from tests.fakes.streamer import Lab, streamer_lab, until

USER1 = Alias(AliasKind.USER, "user1@example.com")
USER2 = Alias(AliasKind.USER, "user2@example.com")
ONE_ALONE = CompiledPolicy(grants=(Grant((USER1,), (USER1,), (NetworkAccess(),)),))
RELAY = registry_pb2.Relay(
    region_id=900, region_code="home", region_name="Home", name="900a", host_name="derp.example.net", derp_port=443
)


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    async with streamer_lab() as made:
        yield made


@pytest.mark.statement(73, 74, 75, 76, 84, 85, 86, 92, 94, 95, 96, 101, 102)
@pytest.mark.parametrize("zstd", [True, False])
async def test_a_new_session_gets_a_full_map_with_all_that_a_client_needs(lab: Lab, zstd: bool) -> None:
    nodes = [make_node(number) for number in range(1, 101)]
    await lab.registry.put_node(*nodes)
    await lab.registry.put_relay(RELAY)
    await lab.start()
    gateway = lab.attach()
    netmap = await gateway.map_of(gateway.open(nodes[49], zstd=zstd))
    assert netmap.node is not None
    assert netmap.node["Key"] == "nodekey:" + key(2, 50).hex()
    assert netmap.node["MachineAuthorized"] is True
    assert netmap.node["Name"] == "host50.tail.example.net."
    assert netmap.node["Addresses"] == ["100.64.0.50/32", "fd7a:115c:a1e0::32/128"]
    assert "https://tailscale.com/cap/ssh" in netmap.node["CapMap"]
    assert "KeyExpiry" not in netmap.node
    assert sorted(netmap.peers) == [number for number in range(1, 101) if number != 50]
    assert netmap.peers[7]["Cap"] == 113
    assert netmap.filters["base"]
    assert netmap.ssh == {"rules": []}
    assert netmap.domain == "tail.example.net"
    assert netmap.dns == {"Domains": ["tail.example.net"], "Proxied": True}
    assert netmap.derp_map is not None
    assert netmap.derp_map["omitDefaultRegions"] is True
    assert netmap.derp_map["Regions"]["900"]["Nodes"][0]["HostName"] == "derp.example.net"
    first = netmap.history[0]
    assert first["CollectServices"] is False
    assert first["Debug"] == {"DisableLogTail": True}
    assert first["ControlTime"].endswith("Z")
    assert "Health" not in first


async def test_a_map_alone_in_the_tailnet_has_no_peer_list(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1))
    await lab.start()
    gateway = lab.attach()
    netmap = await gateway.map_of(gateway.open(make_node(1)))
    assert "Peers" not in netmap.history[0]


async def test_frames_are_sent_once_per_gateway_and_shared(lab: Lab) -> None:
    nodes = [make_node(number) for number in range(1, 129)]
    await lab.registry.put_node(*nodes)
    await lab.start()
    gateway = lab.attach()
    first, second = gateway.open(nodes[0]), gateway.open(nodes[40])
    await gateway.map_of(first)
    await gateway.map_of(second)
    assert len(second.netmap.peers) == 127
    # One frame of what the class shares, and of the five runs of ids only the viewers' own are not shared.
    assert gateway.frame_messages <= 1 + 5


@pytest.mark.statement(79, 83)
async def test_an_endpoint_change_is_one_message_for_all_peers_and_none_for_the_node(lab: Lab) -> None:
    nodes = [make_node(number) for number in range(1, 6)]
    await lab.registry.put_node(*nodes)
    await lab.start()
    gateway = lab.attach()
    sessions = [gateway.open(node) for node in nodes]
    for session in sessions:
        await gateway.map_of(session)
    await lab.registry.put_node(changed(nodes[0], endpoints=["203.0.113.7:41641"]))
    await gateway.until(lambda: sessions[4].deltas)
    assert len(gateway.delta_messages) == 1
    assert sorted(gateway.delta_messages[0].session_ids) == [session.id for session in sessions[1:]]
    assert sessions[1].deltas == [{"PeersChangedPatch": [{"NodeID": 1, "Endpoints": ["203.0.113.7:41641"]}]}]
    cursor = sessions[1].cursor
    assert cursor is not None and (cursor.registry, cursor.policy) == (lab.registry.log.last, 0)


async def test_a_stun_mapping_that_moves_is_not_broadcast_but_is_in_full_maps(lab: Lab) -> None:
    mover = make_node(1, endpoints=["10.0.0.1:1", "203.0.113.1:1"], endpoint_types=[1, 2])
    await lab.registry.put_node(mover, make_node(2))
    tailnet = await lab.start()
    gateway = lab.attach()
    session = gateway.open(make_node(2))
    await gateway.map_of(session)
    await lab.registry.put_node(changed(mover, endpoints=["10.0.0.1:1", "203.0.113.1:2"]))
    await lab.registry.put_user(make_user(1, display_name="Ann"))
    await gateway.until(lambda: session.deltas)
    assert "PeersChangedPatch" not in session.deltas[0]
    again = gateway.open(make_node(2))
    assert (await gateway.map_of(again)).peers[1]["Endpoints"] == ["10.0.0.1:1", "203.0.113.1:2"]
    assert session.ended == pb.END_REASON_SUPERSEDED
    assert tailnet.view.cursor.registry == lab.registry.log.last


async def test_a_node_that_joins_is_told_whole_with_its_owner(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1))
    await lab.start()
    gateway = lab.attach()
    session = gateway.open(make_node(1))
    await gateway.map_of(session)
    await lab.registry.put_user(make_user(2))
    await lab.registry.put_node(make_node(2, user_id=2))
    await gateway.until(lambda: 2 in session.netmap.peers)
    assert session.netmap.profiles[2]["LoginName"] == "user2@example.com"
    assert "Peers" not in session.deltas[-1]


async def test_a_newcomer_has_its_map_at_once_and_the_others_hear_of_it_when_it_is_there() -> None:
    clock = FakeClock()
    async with streamer_lab(clock) as lab:
        await lab.registry.put_node(make_node(1))
        tailnet = await lab.start()
        gateway = lab.attach()
        others = gateway.open(make_node(1))
        await gateway.map_of(others)
        for number in (2, 3):
            await lab.registry.put_node(make_node(number, online=False))
            newcomer = gateway.open(make_node(number))
            assert sorted((await gateway.map_of(newcomer)).peers) == list(range(1, number))
        assert others.deltas == []
        await lab.registry.put_node(make_node(2, online=True))
        await until(lambda: tailnet.position.registry == lab.registry.log.last)
        clock.advance(0.02)
        await gateway.until(lambda: others.deltas)
        assert len(others.deltas) == 1
        assert {peer: node["Online"] for peer, node in others.netmap.peers.items()} == {2: True, 3: False}
        await gateway.until(lambda: newcomer.netmap.peers[2]["Online"])


async def test_a_newcomer_that_never_comes_is_told_a_moment_later() -> None:
    clock = FakeClock()
    async with streamer_lab(clock) as lab:
        await lab.registry.put_node(make_node(1))
        tailnet = await lab.start()
        gateway = lab.attach()
        others = gateway.open(make_node(1))
        await gateway.map_of(others)
        await lab.registry.put_node(make_node(2, online=False))
        await until(lambda: tailnet.position.registry == lab.registry.log.last)
        clock.advance(0.3)
        await lab.registry.put_node(make_node(3, online=False))
        await gateway.until(lambda: 2 in others.netmap.peers)


@pytest.mark.statement(80)
async def test_a_deleted_node_is_removed_from_its_peers_and_its_session_ends(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1), make_node(2))
    await lab.start()
    gateway = lab.attach()
    stays, goes = gateway.open(make_node(1)), gateway.open(make_node(2))
    await gateway.map_of(stays)
    await gateway.map_of(goes)
    await lab.registry.remove_node(2)
    await gateway.until(lambda: goes.ended)
    await gateway.until(lambda: not stays.netmap.peers)
    assert goes.ended == pb.END_REASON_NODE_REMOVED
    assert stays.deltas[-1]["PeersRemoved"] == [2]


async def test_a_rotated_key_ends_the_old_session_and_patches_peers(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1), make_node(2))
    await lab.start()
    gateway = lab.attach()
    stays, old = gateway.open(make_node(1)), gateway.open(make_node(2))
    await gateway.map_of(stays)
    await gateway.map_of(old)
    rotated = changed(make_node(2), node_key=key(9, 2), disco_key=key(8, 2))
    await lab.registry.put_node(rotated)
    await gateway.until(lambda: old.ended)
    await gateway.until(lambda: stays.deltas)
    assert old.ended == pb.END_REASON_KEY_ROTATED
    assert stays.netmap.peers[2]["Key"] == "nodekey:" + key(9, 2).hex()
    new = gateway.open(rotated)
    await gateway.map_of(new)


async def test_presence_is_a_patch_with_last_seen_only_while_away(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1), make_node(2))
    await lab.start()
    gateway = lab.attach()
    session = gateway.open(make_node(1))
    await gateway.map_of(session)
    await lab.registry.put_node(changed(make_node(2), online=False, last_seen=datetime(2026, 5, 1, tzinfo=UTC)))
    await gateway.until(lambda: session.deltas)
    assert session.deltas == [
        {"PeersChangedPatch": [{"NodeID": 2, "Online": False, "LastSeen": "2026-05-01T00:00:00Z"}]}
    ]
    await lab.registry.put_node(make_node(2))
    await gateway.until(lambda: len(session.deltas) > 1)
    assert session.deltas[1] == {"PeersChangedPatch": [{"NodeID": 2, "Online": True}]}


@pytest.mark.statement(105, 106)
async def test_a_key_that_ends_by_the_clock_alone_is_told(lab: Lab) -> None:
    soon = datetime.now(UTC) + timedelta(milliseconds=300)
    await lab.registry.put_node(make_node(1), changed(make_node(2), expiry=soon))
    await lab.start()
    gateway = lab.attach()
    session, own = gateway.open(make_node(1)), gateway.open(make_node(2))
    netmap = await gateway.map_of(session)
    await gateway.map_of(own)
    assert "Expired" not in netmap.peers[2]
    await gateway.until(lambda: session.deltas and own.deltas)
    assert netmap.peers[2]["Expired"] is True
    assert "Endpoints" not in netmap.peers[2]
    assert netmap.peers[2]["DiscoKey"] == "discokey:" + bytes(32).hex()
    assert own.netmap.node is not None
    assert own.netmap.node["Expired"] is True
    assert own.ended is None


@pytest.mark.statement(69)
async def test_a_node_that_nobody_knows_is_refused(lab: Lab) -> None:
    await lab.start()
    gateway = lab.attach()
    session = gateway.open(make_node(5))
    await gateway.until(lambda: session.refused)
    assert session.refused == pb.REFUSAL_REASON_UNKNOWN_NODE


@pytest.mark.statement(38)
async def test_a_node_of_another_machine_is_refused(lab: Lab) -> None:
    await lab.registry.put_node(make_node(5))
    await lab.start()
    gateway = lab.attach()
    session = gateway.open(make_node(5), machine_key=key(1, 6))
    await gateway.until(lambda: session.refused)
    assert session.refused == pb.REFUSAL_REASON_WRONG_MACHINE


async def test_a_node_admitted_a_moment_ago_is_accepted_though_the_bus_lost_the_news(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1))
    await lab.start()
    gateway = lab.attach()
    other = gateway.open(make_node(1))
    await gateway.map_of(other)
    lab.registry.log.lose = True
    await lab.registry.put_node(make_node(2))
    session = gateway.open(make_node(2))
    await gateway.map_of(session)
    await gateway.until(lambda: 2 in other.netmap.peers)


@pytest.mark.statement(66)
async def test_a_session_for_one_map_ends_after_it(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1))
    await lab.start()
    gateway = lab.attach()
    stream = gateway.open(make_node(1))
    await gateway.map_of(stream)
    once = gateway.open(make_node(1), once=True)
    await gateway.until(lambda: once.ended)
    assert once.fulls == 1
    assert once.ended == pb.END_REASON_DONE
    assert stream.ended is None


@pytest.mark.statement(67)
async def test_a_newer_session_supersedes_the_older_across_gateways(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1))
    await lab.start()
    one, two = lab.attach("a"), lab.attach("b")
    old = one.open(make_node(1))
    await one.map_of(old)
    new = two.open(make_node(1))
    await two.map_of(new)
    await one.until(lambda: old.ended)
    assert old.ended == pb.END_REASON_SUPERSEDED


@pytest.mark.statement(67)
async def test_a_newer_session_supersedes_the_older_across_replicas(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1))
    await lab.start()
    await lab.start()
    one, two = lab.attach("a", replica=0), lab.attach("b", replica=1)
    old = one.open(make_node(1))
    await one.map_of(old)
    new = two.open(make_node(1))
    await two.map_of(new)
    await one.until(lambda: old.ended)
    assert old.ended == pb.END_REASON_SUPERSEDED
    assert new.ended is None


async def test_lost_messages_are_fetched_when_the_next_one_shows_the_gap(lab: Lab) -> None:
    node = make_node(2)
    await lab.registry.put_node(make_node(1), node)
    await lab.start()
    gateway = lab.attach()
    session = gateway.open(make_node(1))
    await gateway.map_of(session)
    lab.registry.log.lose = True
    await lab.registry.put_node(make_node(3))
    await lab.registry.remove_node(2)
    lab.registry.log.lose = False
    await lab.registry.put_node(make_node(4))
    await gateway.until(lambda: sorted(session.netmap.peers) == [3, 4])
    assert session.fulls == 1


async def test_lost_messages_are_fetched_when_the_bus_comes_back(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1))
    await lab.start()
    gateway = lab.attach()
    session = gateway.open(make_node(1))
    await gateway.map_of(session)
    lab.registry.log.lose = True
    await lab.registry.put_node(make_node(2))
    lab.bus.interrupt()
    await gateway.until(lambda: 2 in session.netmap.peers)


async def test_a_last_message_that_was_lost_is_found_when_all_is_quiet(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1))
    await lab.start(quiet=0.05)
    gateway = lab.attach()
    session = gateway.open(make_node(1))
    await gateway.map_of(session)
    lab.registry.log.lose = True
    await lab.registry.put_node(make_node(2))
    await gateway.until(lambda: 2 in session.netmap.peers)


async def test_a_trimmed_log_leads_to_a_snapshot_and_sessions_get_only_the_difference(lab: Lab) -> None:
    nodes = [make_node(number) for number in range(1, 40)]
    await lab.registry.put_node(*nodes)
    await lab.start()
    gateway = lab.attach()
    session = gateway.open(nodes[0])
    await gateway.map_of(session)
    lab.registry.log.lose = True
    await lab.registry.remove_node(7)
    await lab.registry.put_node(make_node(50))
    lab.registry.log.trim()
    lab.bus.interrupt()
    await gateway.until(lambda: 50 in session.netmap.peers)
    assert 7 not in session.netmap.peers
    assert session.fulls == 1
    assert [node["ID"] for node in session.deltas[-1]["PeersChanged"]] == [50]


async def test_duplicates_are_passed_over(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1), make_node(2))
    tailnet = await lab.start()
    gateway = lab.attach()
    session = gateway.open(make_node(1))
    await gateway.map_of(session)
    batch = common_pb2.ChangeBatch(tailnet_id="default", service="registry", records=lab.registry.log.records)
    await lab.registry.log.publish(batch)
    await lab.registry.put_node(make_node(3))
    await gateway.until(lambda: 3 in session.netmap.peers)
    assert len(session.deltas) == 1
    assert tailnet.view.cursor.registry == lab.registry.log.last


@pytest.mark.statement(81, 110)
async def test_a_policy_change_brings_filters_and_peers_in_one_message(lab: Lab) -> None:
    await lab.registry.put_user(make_user(2))
    await lab.registry.put_node(make_node(1), make_node(2), make_node(3, user_id=2))
    await lab.start()
    gateway = lab.attach()
    one, three = gateway.open(make_node(1)), gateway.open(make_node(3))
    await gateway.map_of(one)
    await gateway.map_of(three)
    await lab.policy.put(ONE_ALONE)
    await gateway.until(lambda: one.deltas and three.deltas)
    assert one.deltas[0]["PeersRemoved"] == [3]
    assert one.deltas[0]["PacketFilters"]["base"][0]["SrcIPs"]
    assert three.deltas[0]["PeersRemoved"] == [1, 2]
    assert three.deltas[0]["PacketFilters"] == {"base": []}
    assert three.netmap.filters == {"base": []}
    await lab.policy.put(CompiledPolicy(grants=(Grant((USER1,), (USER2,), (NetworkAccess(),)),)))
    await gateway.until(lambda: sorted(three.netmap.peers) == [1, 2])
    assert sorted(one.netmap.peers) == [3]
    assert one.netmap.filters == {"base": []}


async def test_a_node_that_sees_nobody_gets_an_explicit_empty_filter_at_once(lab: Lab) -> None:
    await lab.registry.put_user(make_user(2))
    await lab.registry.put_node(make_node(1), make_node(3, user_id=2))
    await lab.policy.put(ONE_ALONE)
    await lab.start()
    gateway = lab.attach()
    netmap = await gateway.map_of(gateway.open(make_node(3)))
    assert netmap.history[0]["PacketFilters"] == {"base": []}
    assert "Peers" not in netmap.history[0]


async def test_a_suspended_user_is_cut_off_from_all(lab: Lab) -> None:
    await lab.registry.put_user(make_user(2))
    await lab.registry.put_node(make_node(1), make_node(3, user_id=2))
    await lab.start()
    gateway = lab.attach()
    one, three = gateway.open(make_node(1)), gateway.open(make_node(3))
    await gateway.map_of(one)
    await gateway.map_of(three)
    await lab.registry.put_user(make_user(2, suspended=True))
    await gateway.until(lambda: not one.netmap.peers and not three.netmap.peers)
    assert three.netmap.filters == {"base": []}
    assert three.netmap.node is not None
    assert three.netmap.node["KeyExpiry"] == three.netmap.node["Created"]
    await lab.registry.put_user(make_user(2))
    await gateway.until(lambda: 3 in one.netmap.peers and 1 in three.netmap.peers)
    assert "KeyExpiry" not in three.netmap.node and "Expired" not in three.netmap.node
    assert "KeyExpiry" not in one.netmap.peers[3]


@pytest.mark.statement(97, 98)
async def test_routes_reach_viewers_and_the_router_when_approved(lab: Lab) -> None:
    router = make_node(1, advertised_routes=["10.2.0.0/16"])
    await lab.registry.put_node(router, make_node(2))
    await lab.start()
    gateway = lab.attach()
    own, viewer = gateway.open(router), gateway.open(make_node(2))
    await gateway.map_of(own)
    await gateway.map_of(viewer)
    assert "10.2.0.0/16" not in viewer.netmap.peers[1]["AllowedIPs"]
    await lab.registry.put_node(changed(router, approved_routes=["10.2.0.0/16"]))
    await gateway.until(lambda: "10.2.0.0/16" in viewer.netmap.peers[1]["AllowedIPs"])
    await gateway.until(lambda: own.deltas)
    assert viewer.netmap.peers[1]["PrimaryRoutes"] == ["10.2.0.0/16"]
    assert own.netmap.node is not None
    assert "10.2.0.0/16" in own.netmap.node["AllowedIPs"]


async def test_a_paused_session_gets_one_merged_message_when_it_reads_again(lab: Lab) -> None:
    nodes = [make_node(number) for number in range(1, 5)]
    await lab.registry.put_node(*nodes)
    tailnet = await lab.start()
    gateway = lab.attach()
    slow, quick = gateway.open(nodes[0]), gateway.open(nodes[1])
    await gateway.map_of(slow)
    await gateway.map_of(quick)
    gateway.pause(slow)
    await until(lambda: any(session.paused for session in tailnet.roster.all()))
    await lab.registry.put_node(changed(nodes[2], endpoints=["203.0.113.3:1"]))
    await gateway.until(lambda: len(quick.deltas) == 1)
    await lab.registry.put_node(changed(nodes[2], endpoints=["203.0.113.3:2"]), make_node(9))
    await gateway.until(lambda: 9 in quick.netmap.peers)
    await lab.registry.remove_node(4)
    await gateway.until(lambda: 4 not in quick.netmap.peers)
    assert slow.deltas == []
    gateway.resume(slow)
    await gateway.until(lambda: slow.deltas)
    assert len(slow.deltas) == 1
    assert slow.fulls == 1
    assert sorted(slow.netmap.peers) == [2, 3, 9]
    assert slow.netmap.peers[3] == quick.netmap.peers[3]


async def test_a_session_paused_for_too_long_gets_a_full_map(lab: Lab) -> None:
    nodes = [make_node(number) for number in range(1, 4)]
    await lab.registry.put_node(*nodes)
    tailnet = await lab.start()
    gateway = lab.attach()
    slow = gateway.open(nodes[0])
    await gateway.map_of(slow)
    gateway.pause(slow)
    await until(lambda: tailnet.roster.all()[0].paused)
    for number in range(70):
        await lab.registry.put_node(changed(nodes[1], endpoints=[f"203.0.113.3:{number + 1}"]))
        await until(lambda: tailnet.position.registry == lab.registry.log.last)
        tailnet.flush()
    gateway.resume(slow)
    await gateway.until(lambda: slow.fulls == 2)
    assert slow.netmap.peers[2]["Endpoints"] == ["203.0.113.3:70"]
    assert slow.deltas == []


async def test_a_session_moves_to_another_replica_and_gets_what_it_missed(lab: Lab) -> None:
    nodes = [make_node(number) for number in range(1, 5)]
    await lab.registry.put_node(*nodes)
    await lab.start()
    await lab.start()
    one = lab.attach("a", replica=0)
    session = one.open(nodes[0])
    await one.map_of(session)
    held = session.cursor
    await one.close()
    await lab.registry.put_node(changed(nodes[2], endpoints=["203.0.113.3:1"]))
    await lab.registry.remove_node(4)
    two = lab.attach("a", replica=1)
    moved = two.open(nodes[0], held=held)
    moved.netmap = session.netmap
    await two.until(lambda: 4 not in moved.netmap.peers)
    assert moved.fulls == 0
    assert moved.netmap.peers[3]["Endpoints"] == ["203.0.113.3:1"]


async def test_a_session_that_holds_what_nobody_remembers_gets_a_full_map(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1), make_node(2))
    await lab.start()
    gateway = lab.attach()
    session = gateway.open(make_node(1), held=common_pb2.Cursor(registry=1, policy=0))
    await gateway.map_of(session)
    assert sorted(session.netmap.peers) == [2]


async def test_a_session_without_peers_that_cannot_be_mended_ends(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1))
    await lab.start()
    gateway = lab.attach()
    session = gateway.open(make_node(1), held=common_pb2.Cursor(registry=1, policy=0))
    await gateway.until(lambda: session.ended)
    assert session.ended == pb.END_REASON_RESYNC


async def test_the_first_message_must_be_hello(lab: Lab) -> None:
    await lab.start()
    gateway = lab.attach("")
    with pytest.raises(Exception, match="hello"):
        await gateway.until(lambda: False)


@pytest.mark.statement(104)
async def test_only_old_clients_get_the_derp_string(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1), make_node(2))
    await lab.start()
    gateway = lab.attach()
    old, new = gateway.open(make_node(1), cap_version=106), gateway.open(make_node(2))
    assert (await gateway.map_of(old)).peers[2]["DERP"] == "127.3.3.40:900"
    assert "DERP" not in (await gateway.map_of(new)).peers[1]


async def test_files_of_the_configuration_reach_open_sessions_and_bad_ones_change_nothing(
    lab: Lab, tmp_path: Path
) -> None:
    derp, records = tmp_path / "derp.yaml", tmp_path / "records.json"
    derp.write_text("regions:\n  901:\n    regionid: 901\n    nodes: [{name: 901a, regionid: 901, hostname: h}]\n")
    records.write_text('[{"name":"pg.db.internal","type":"A","value":"100.64.0.9"}]')
    await lab.registry.put_node(make_node(1))
    tailnet = await lab.start()
    gateway = lab.attach()
    session = gateway.open(make_node(1))
    netmap = await gateway.map_of(session)
    config = DerpConfig(paths=(derp, tmp_path / "missing.yaml"), urls=("file:///etc/passwd",))
    sources = Sources(config, DnsConfig(extra_records_path=records), tailnet)
    await sources.start()
    # Reading takes as long as it takes: what the files say may come in two messages.
    await gateway.until(lambda: "901" in netmap.derp_map["Regions"] and "Routes" in (netmap.dns or {}))
    assert netmap.derp_map is not None
    assert netmap.derp_map["Regions"]["901"]["Nodes"] == [{"Name": "901a", "RegionID": 901, "HostName": "h"}]
    assert netmap.dns is not None
    assert netmap.dns["Routes"] == {"pg.db.internal": []}
    records.write_text("no JSON")
    derp.write_text("regions: [")
    await sources.start()
    tailnet.flush()
    assert "901" in orjson.loads(tailnet.view.snapshot.regions)
    assert tailnet.view.snapshot.dns_records == (("pg.db.internal", "A", "100.64.0.9"),)


@pytest.mark.statement(87)
async def test_a_record_without_an_id_never_reaches_a_client(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1))
    tailnet = await lab.start()
    gateway = lab.attach()
    session = gateway.open(make_node(1))
    await gateway.map_of(session)
    await lab.registry.put_node(make_node(0))
    await lab.registry.put_node(make_node(2))
    await gateway.until(lambda: session.netmap.peers)
    assert sorted(session.netmap.peers) == [2]
    assert tailnet.view.cursor.registry == lab.registry.log.last


@pytest.mark.statement(103)
async def test_the_stable_id_is_the_registrys_through_all_changes(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1), make_node(2))
    await lab.start()
    gateway = lab.attach()
    session = gateway.open(make_node(1))
    await gateway.map_of(session)
    await lab.registry.put_node(changed(make_node(2), given_name="other", node_key=key(7, 2), tags=["tag:server"]))
    await gateway.until(lambda: session.netmap.peers[2]["Name"] == "other.tail.example.net.")
    assert session.netmap.peers[2]["StableID"] == "n2CNTRL"


@pytest.mark.statement(107, 108, 109, 111)
async def test_a_packet_filter_on_the_wire_has_the_form_that_clients_take(lab: Lab) -> None:
    host = Alias(AliasKind.PREFIXES, "10.2.3.4/16", ("10.2.0.0/16",))
    app = (Capability("example.com/cap/x", '[{"a":1}]'),)
    grants = (Grant((USER1,), (USER1, host), (NetworkAccess((6,), ((22, 22),)),), app),)
    await lab.registry.put_user(make_user(2))
    router = make_node(3, user_id=2, advertised_routes=["10.2.0.0/16"], approved_routes=["10.2.0.0/16"])
    await lab.registry.put_node(make_node(1), make_node(2), router)
    await lab.policy.put(CompiledPolicy(grants=grants))
    await lab.start()
    gateway = lab.attach()
    own, routes = await gateway.map_of(gateway.open(make_node(1))), await gateway.map_of(gateway.open(router))
    rules = own.filters["base"] + routes.filters["base"]
    assert own.filters["base"]
    assert routes.filters["base"]
    assert all(("DstPorts" in rule) != ("CapGrant" in rule) for rule in rules)
    assert not any("IPProto" in rule for rule in rules if "CapGrant" in rule)
    assert not any("SrcBits" in rule for rule in rules)
    ports = [port for rule in rules for port in rule.get("DstPorts", [])]
    assert not any("Bits" in port for port in ports)
    own_ports = {port["IP"] for rule in own.filters["base"] for port in rule.get("DstPorts", [])}
    assert own_ports == {"100.64.0.1", "fd7a:115c:a1e0::1"}
    assert {port["IP"] for rule in routes.filters["base"] for port in rule.get("DstPorts", [])} == {"10.2.0.0/16"}


@pytest.mark.statement(113, 114)
async def test_an_ssh_policy_on_the_wire_has_lower_camel_names(lab: Lab) -> None:
    rule = SshRule(check=True, source=(USER1,), destination=(USER1,), users=("root",), check_period=60)
    await lab.registry.put_node(make_node(1), make_node(2))
    await lab.policy.put(CompiledPolicy(grants=ALLOW_ALL.grants, ssh=(rule,)))
    await lab.start()
    gateway = lab.attach()
    netmap = await gateway.map_of(gateway.open(make_node(1)))
    assert netmap.ssh is not None
    (sent, *_) = netmap.ssh["rules"]
    assert {"principals", "sshUsers", "action"} <= sent.keys()
    assert sent["action"]["holdAndDelegate"].startswith("https://hs.example.net/")
    assert all(value % 1_000_000_000 == 0 for name, value in sent["action"].items() if name == "sessionDuration")
    assert netmap.node is not None
    assert "https://tailscale.com/cap/ssh" in netmap.node["CapMap"]


async def test_a_delta_carries_the_trace_of_its_change(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1), make_node(2))
    await lab.start()
    gateway = lab.attach()
    session = gateway.open(make_node(1))
    await gateway.map_of(session)
    tracer = TracerProvider().get_tracer("test")
    with tracer.start_as_current_span("map request") as span:
        await lab.registry.put_node(changed(make_node(2), endpoints=["203.0.113.7:41641"]))
    await gateway.until(lambda: session.deltas)
    assert gateway.delta_messages[0].traceparent[3:35] == f"{span.get_span_context().trace_id:032x}"


async def test_status_says_how_far_a_replica_is(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1), make_node(2))
    await lab.start()
    gateway = lab.attach()
    await gateway.map_of(gateway.open(make_node(1)))
    stub = map_streamer_pb2_grpc.MapStreamerServiceStub(LocalChannel(lab.servers[0]))
    status = await stub.GetStatus(pb.GetStatusRequest())
    assert (status.nodes, status.sessions, status.gateways) == (2, 1, 1)
    assert status.cursor.registry == lab.registry.log.last
    await gateway.close()
    tailnet = lab.services[0].tailnet
    await until(lambda: not tailnet.roster.all())


async def test_a_gateway_that_does_not_read_costs_a_position_and_then_one_delta(lab: Lab) -> None:
    nodes = [make_node(number) for number in range(1, 4)]
    await lab.registry.put_node(*nodes)
    tailnet = await lab.start()
    gateway = lab.attach()
    session = gateway.open(nodes[0])
    await gateway.map_of(session)
    (attached,) = tailnet.roster.gateways()
    attached.outbox.congested = True
    await lab.registry.put_node(changed(nodes[1], endpoints=["203.0.113.3:1"]))
    await until(lambda: tailnet.view.cursor.registry == lab.registry.log.last)
    await lab.registry.put_node(changed(nodes[2], endpoints=["203.0.113.3:2"]))
    await until(lambda: tailnet.view.cursor.registry == lab.registry.log.last)
    assert session.deltas == []
    attached.outbox.put(pb.AttachResponse(retired=pb.FramesRetired()))
    await gateway.until(lambda: session.deltas)
    assert [patch["NodeID"] for patch in session.deltas[0]["PeersChangedPatch"]] == [2, 3]
    assert len(session.deltas) == 1


async def test_a_policy_that_shows_many_at_once_is_told_by_shared_frames(lab: Lab) -> None:
    await lab.registry.put_user(make_user(2))
    await lab.registry.put_node(*(make_node(number, user_id=1 + number % 2) for number in range(1, 201)))
    await lab.policy.put(CompiledPolicy())
    await lab.start()
    gateway = lab.attach()
    sessions = [gateway.open(make_node(number)) for number in (1, 2, 3)]
    for session in sessions:
        await gateway.map_of(session)
    await lab.policy.put(ALLOW_ALL)
    await gateway.until(lambda: all(len(session.netmap.peers) == 199 for session in sessions))
    assert all(session.fulls == 2 for session in sessions)
    assert all(session.netmap.filters["base"] for session in sessions)
