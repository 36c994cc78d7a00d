"""What a policy change is on the wire: filters and peers together, for those whom it concerns."""

from __future__ import annotations

import pytest

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
from tests.fakes.change_logs import make_node, make_user
from tests.fakes.streamer import Lab

USER1 = Alias(AliasKind.USER, "user1@example.com")


USER2 = Alias(AliasKind.USER, "user2@example.com")


ONE_ALONE = CompiledPolicy(grants=(Grant((USER1,), (USER1,), (NetworkAccess(),)),))


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
