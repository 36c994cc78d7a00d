"""What depends on the version of the client that a session belongs to."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from smartscale.types.v1 import relay_pb2 as relay_types

from tests.fakes.change_logs import make_node
from tests.fakes.netmap import Json, Netmap
from tests.fakes.streamer import Lab

RELAY = relay_types.Relay(
    region_id=900, region_code="home", region_name="Home", name="900a", host_name="192.0.2.1", cert_name="sha256-raw:ab"
)


def relay_of(netmap: Netmap) -> Json:
    """The only relay in a client's map."""
    assert netmap.derp_map is not None
    node: Json = netmap.derp_map["Regions"]["900"]["Nodes"][0]
    return node


@pytest.mark.parametrize("zstd", [True, False])
async def test_clients_before_1_82_reach_a_pinned_relay_without_the_pin_and_later_ones_with_it(
    lab: Lab, zstd: bool
) -> None:
    nodes = [make_node(number) for number in range(1, 5)]
    await lab.registry.put_node(*nodes)
    await lab.registry.put_relay(RELAY)
    await lab.start()
    gateway = lab.attach()
    versions = (113, 114, 115, 142)
    sessions = [
        gateway.open(node, cap_version=version, zstd=zstd) for node, version in zip(nodes, versions, strict=True)
    ]
    netmaps = [await gateway.map_of(session) for session in sessions]
    for netmap in netmaps[:2]:
        assert (relay_of(netmap).get("CertName"), relay_of(netmap)["InsecureForTests"]) == (None, True)
    for netmap in netmaps[2:]:
        assert (relay_of(netmap)["CertName"], "InsecureForTests" in relay_of(netmap)) == ("sha256-raw:ab", False)
    moved = relay_types.Relay(
        region_id=900, name="900a", host_name="192.0.2.1", cert_name="sha256-raw:cd", derp_port=8443
    )
    await lab.registry.put_relay(moved)
    await gateway.until(lambda: all(session.deltas for session in sessions))
    assert [relay_of(netmap).get("CertName") for netmap in netmaps] == [None, None, "sha256-raw:cd", "sha256-raw:cd"]
    assert [relay_of(netmap)["DERPPort"] for netmap in netmaps] == [8443] * 4


async def test_the_missing_proof_is_logged_once_and_can_be_insisted_on(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    nodes = [make_node(number) for number in range(1, 4)]
    await lab.registry.put_node(*nodes)
    await lab.registry.put_relay(RELAY)
    await lab.start()
    lab.render = replace(lab.render, unpinned_old_clients=False)
    await lab.start()
    lenient, strict = lab.attach(), lab.attach("gateway-b", replica=1)
    for node in nodes:
        await lenient.map_of(lenient.open(node, cap_version=113))
        netmap = await strict.map_of(strict.open(node, cap_version=113))
        assert relay_of(netmap)["CertName"] == "sha256-raw:ab"
    logged = [record.getMessage() for record in caplog.records]
    assert sum("without checking their certificate" in message for message in logged) == 1
