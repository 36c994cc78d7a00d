"""What open sessions are told when a node, a route or a file of the configuration changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from opentelemetry.sdk.trace import TracerProvider
from smartscale.map_streamer.v1 import map_streamer_pb2 as pb

from services.map_streamer.ingest import Sources
from services.shared.config.model import DerpConfig, DnsConfig
from tests.fakes.change_logs import changed, key, make_node, make_user
from tests.fakes.streamer import Lab


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
    await gateway.until(lambda: "901" in (netmap.derp_map or {}).get("Regions", {}) and "Routes" in (netmap.dns or {}))
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
