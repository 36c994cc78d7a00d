"""What one full map holds, and in what form; a model of a real client reads each."""

from __future__ import annotations

import pytest
from smartscale.types.v1 import relay_pb2 as relay_types

from tests.fakes.change_logs import changed, key, make_node
from tests.fakes.streamer import Lab

RELAY = relay_types.Relay(
    region_id=900, region_code="home", region_name="Home", name="900a", host_name="derp.example.net", derp_port=443
)


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


@pytest.mark.statement(104)
async def test_only_old_clients_get_the_derp_string(lab: Lab) -> None:
    await lab.registry.put_node(make_node(1), make_node(2))
    await lab.start()
    gateway = lab.attach()
    old, new = gateway.open(make_node(1), cap_version=106), gateway.open(make_node(2))
    assert (await gateway.map_of(old)).peers[2]["DERP"] == "127.3.3.40:900"
    assert "DERP" not in (await gateway.map_of(new)).peers[1]


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
