"""Frames, layouts and the JSON of nodes, DNS and DERP maps."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest
import zstandard

from services.map_streamer.diff import Patch
from services.map_streamer.render.derp import derp_map, without_pins
from services.map_streamer.render.dns import DnsSettings, dns_config, nextdns_resolvers
from services.map_streamer.render.frames import Encoder, Frame, FrameCache, stored
from services.map_streamer.render.full import Layout, chunks
from services.map_streamer.render.nodes import (
    PLAIN,
    Fragment,
    Fragments,
    Shape,
    patch_json,
    peer_json,
    profile_json,
    self_json,
)
from services.map_streamer.snapshot import NodeRecord, RelayRecord, UserRecord
from services.shared.ids import TAGGED_DEVICES_USER
from services.shared.tailnet_settings import DnsParts, Resolver, resolvers
from tests.fakes.netmap import unpack

CREATED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NODE = NodeRecord(
    id=7,
    stable_id="n7",
    machine_key=b"\1" * 32,
    node_key=b"\2" * 32,
    given_name="web",
    created=CREATED,
    disco_key=b"\3" * 32,
    user_id=1,
    ipv4="100.64.0.7",
    ipv6="fd7a:115c:a1e0::7",
    endpoints=("192.0.2.1:1",),
    home_derp=900,
    cap_version=113,
    online=True,
)


def changed(**fields: object) -> NodeRecord:
    return msgspec.structs.replace(NODE, **fields)


def test_the_stored_frame_of_a_comma_is_the_known_one() -> None:
    assert stored(b",") == bytes.fromhex("28b52ffd00580900002c")
    assert unpack(stored(b",") + stored(b"abc"), zstd=True) == b",abc"


@pytest.mark.parametrize("size", [0, 1, 24, 25, 1000, 200_000])
def test_frames_have_no_content_size_and_no_checksum(size: int) -> None:
    text = b"x" * size
    frame = Encoder().encode(text, zstd=True)
    parameters = zstandard.get_frame_parameters(frame)
    assert unpack(frame, zstd=True) == text
    assert parameters.content_size == zstandard.CONTENTSIZE_UNKNOWN
    assert not parameters.has_checksum


def test_equal_content_is_one_frame_and_the_unused_go_first() -> None:
    cache = FrameCache(limit=30)
    one = cache.get("one", [b"1" * 12], zstd=False)
    two = cache.get("two", [b"2" * 12], zstd=False)
    assert cache.get("one", [], zstd=False) is one
    three = cache.get("three", [b"3" * 12], zstd=False)
    assert cache.take_retired() == [two.id]
    assert cache.take_retired() == []
    assert (one.kept, two.kept, three.kept) == (True, False, True)
    assert cache.get("two", [b"2"], zstd=False).id not in (one.id, two.id, three.id)


def test_runs_of_dense_ids_follow_fixed_borders() -> None:
    assert chunks(()) == []
    assert chunks(tuple(range(1, 101))) == [
        tuple(range(1, 32)),
        tuple(range(32, 64)),
        tuple(range(64, 96)),
        tuple(range(96, 101)),
    ]


@pytest.mark.parametrize("step", [1, 3, 40, 1000])
def test_runs_are_short_ascending_and_complete(step: int) -> None:
    ids = tuple(range(5, 5 + 200 * step, step))
    runs = chunks(ids)
    assert tuple(node_id for run in runs for node_id in run) == ids
    assert max(map(len, runs)) <= 32
    assert len(runs) <= 2 + 2 * len(ids) // 32 + 1


def test_a_node_that_leaves_alters_one_run() -> None:
    before = chunks(tuple(range(1, 200)))
    after = chunks(tuple(node_id for node_id in range(1, 200) if node_id != 70))
    assert len(set(before) - set(after)) == 1


@pytest.mark.parametrize("zstd", [True, False])
@pytest.mark.parametrize("count", [0, 1, 2, 31, 32, 33, 64, 100])
def test_a_layout_lists_everyone_but_the_viewer(count: int, zstd: bool) -> None:
    ids = tuple(range(31, 31 + count))
    layout = Layout(ids, lambda node_id: Fragment(node_id, b"%d" % node_id), FrameCache(), zstd=zstd)
    head = Frame(0, Encoder().encode(b'"b":2', zstd=zstd))
    for viewer in (*ids, 5, 1000):
        parts = layout.assemble(b'{"a":1,', head, viewer)
        data = b"".join(part.data if isinstance(part, Frame) else part for part in parts)
        message = json.loads(unpack(data, zstd=zstd))
        assert message.pop("Peers", []) == [node_id for node_id in ids if node_id != viewer]
        assert message == {"a": 1, "b": 2}


def test_a_frame_that_was_retired_is_not_named_again() -> None:
    cache = FrameCache(limit=1)
    layout = Layout((1, 2), lambda node_id: Fragment(node_id, b"%d" % node_id), cache, zstd=False)
    (first,) = layout.peers(0)
    cache.get("other", [b"x" * 100], zstd=False)
    (second,) = layout.peers(0)
    assert isinstance(first, Frame)
    assert isinstance(second, Frame)
    assert second.id > first.id
    assert second.data == first.data


def test_frames_of_nodes_as_they_are_no_more_are_retired() -> None:
    cache = FrameCache()
    fragments = Fragments("", cache.retire)
    nodes = {node_id: changed(id=node_id) for node_id in range(64)}

    def lay_out(legacy: bool = False) -> list[Frame]:
        shape = Shape(legacy=legacy)
        layout = Layout(tuple(nodes), lambda node_id: fragments.peer(nodes[node_id], shape), cache, zstd=False)
        return [part for part in layout.peers(-1) if isinstance(part, Frame)]

    first, second = lay_out()
    old_first, old_second = lay_out(legacy=True)
    assert lay_out() == [first, second] and cache.take_retired() == []
    for _ in range(100):
        nodes[7] = changed(id=7)
        lay_out()
    assert {first.id, old_first.id} < set(cache.take_retired())
    assert second.kept and old_second.kept and len(cache) == 3
    nodes.pop(40)
    fragments.forget(40)
    assert set(cache.take_retired()) == {second.id, old_second.id} and len(cache) == 1
    lay_out(), lay_out(legacy=True)
    assert len(cache) == 4 and all(len(fragments.peer(node, PLAIN).frames) == 1 for node in nodes.values())


@pytest.mark.statement(86, 88, 94, 95, 96, 101, 102)
def test_a_peer_has_all_that_clients_need_and_no_null() -> None:
    peer = json.loads(peer_json(NODE, "tail.example.net", PLAIN))
    assert peer["Name"] == "web.tail.example.net."
    assert peer["Addresses"] == ["100.64.0.7/32", "fd7a:115c:a1e0::7/128"]
    assert peer["AllowedIPs"] == peer["Addresses"]
    assert peer["Created"] == "2026-01-02T03:04:05Z"
    assert peer["Online"] is True
    assert peer["Cap"] == 113
    assert "KeyExpiry" not in peer
    assert "LastSeen" not in peer
    assert None not in peer.values()


@pytest.mark.statement(89)
def test_names_travel_without_escapes() -> None:
    text = peer_json(changed(hostinfo='{"Hostname":"端末 <a&b>/x"}'.encode()), "d", PLAIN)
    assert b"\\" not in text
    assert "端末 <a&b>/x".encode() in text


@pytest.mark.statement(106)
def test_an_expired_peer_has_neither_disco_key_nor_endpoints() -> None:
    peer = json.loads(peer_json(changed(expired=True, expiry=CREATED), "d", PLAIN))
    assert peer["Expired"] is True
    assert peer["KeyExpiry"] == "2026-01-02T03:04:05Z"
    assert peer["DiscoKey"] == "discokey:" + "00" * 32
    assert "Endpoints" not in peer


def test_a_shape_adds_routes_and_hides_ipv4() -> None:
    shape = Shape(("10.0.0.0/8", "0.0.0.0/0"), ("10.0.0.0/8",), b'{"suggest-exit-node":[]}', True, True)
    peer = json.loads(peer_json(NODE, "d", shape))
    assert peer["AllowedIPs"] == ["fd7a:115c:a1e0::7/128", "10.0.0.0/8", "0.0.0.0/0"]
    assert peer["PrimaryRoutes"] == ["10.0.0.0/8"]
    assert peer["CapMap"] == {"suggest-exit-node": []}
    assert peer["DERP"] == "127.3.3.40:900"


def test_the_node_itself_is_always_online_and_has_no_endpoints() -> None:
    own = json.loads(self_json(changed(online=False, last_seen=CREATED), "d", PLAIN))
    assert own["Online"] is True
    assert "LastSeen" not in own
    assert "Endpoints" not in own


def test_a_disco_key_never_shares_a_patch_with_online_false() -> None:
    gone = changed(online=False, last_seen=CREATED)
    patches = json.loads(b"[" + patch_json(gone, Patch(frozenset({"online", "disco_key", "last_seen"}))) + b"]")
    assert patches == [
        {"NodeID": 7, "DiscoKey": "discokey:" + "03" * 32},
        {"NodeID": 7, "Online": False, "LastSeen": "2026-01-02T03:04:05Z"},
    ]


def test_a_patch_says_what_changed_and_nothing_else() -> None:
    fields = frozenset({"endpoints", "home_derp", "node_key", "cap_version", "disco_key", "online", "expiry"})
    (patch,) = json.loads(b"[" + patch_json(changed(expiry=CREATED), Patch(fields)) + b"]")
    assert patch == {
        "NodeID": 7,
        "DERPRegion": 900,
        "Cap": 113,
        "Endpoints": ["192.0.2.1:1"],
        "Key": "nodekey:" + "02" * 32,
        "KeyExpiry": "2026-01-02T03:04:05Z",
        "DiscoKey": "discokey:" + "03" * 32,
        "Online": True,
    }
    assert json.loads(patch_json(changed(endpoints=()), Patch(frozenset({"endpoints"})))) == {
        "NodeID": 7,
        "Endpoints": [],
    }


def test_profiles_name_users_by_mail_and_tagged_devices_by_their_own() -> None:
    user = UserRecord(3, "ann", "Ann", "ann@example.com", profile_pic_url="javascript:x")
    assert json.loads(profile_json(3, user)) == {"ID": 3, "LoginName": "ann@example.com", "DisplayName": "Ann"}
    assert json.loads(profile_json(TAGGED_DEVICES_USER, None))["LoginName"] == "tagged-devices"
    assert json.loads(profile_json(9, None))["ID"] == 9


@pytest.mark.statement(129, 130)
def test_the_dns_configuration_in_the_clients_spelling() -> None:
    settings = DnsSettings(
        DnsParts(
            override_local_dns=True,
            nameservers=resolvers(["1.1.1.1"]),
            split={".corp.example.com.": (Resolver("10.0.0.53", use_with_exit_node=True),)},
            search_paths=("tail.example.net", "example.org."),
        ),
        base_domain="tail.example.net",
        extra_records=(("pg.db.internal.", "A", "100.64.0.9"), ("x.tail.example.net", "A", "100.64.0.8")),
    )
    assert json.loads(dns_config(settings, [("more.internal", "AAAA", "fd7a::1")])) == {
        "Resolvers": [{"Addr": "1.1.1.1"}],
        "Routes": {
            "corp.example.com": [{"Addr": "10.0.0.53", "UseWithExitNode": True}],
            "pg.db.internal": [],
            "more.internal": [],
        },
        "Domains": ["tail.example.net", "example.org"],
        "Proxied": True,
        "ExtraRecords": [
            {"Name": "pg.db.internal", "Type": "A", "Value": "100.64.0.9"},
            {"Name": "x.tail.example.net", "Type": "A", "Value": "100.64.0.8"},
            {"Name": "more.internal", "Type": "AAAA", "Value": "fd7a::1"},
        ],
    }


def test_without_override_global_nameservers_are_the_last_resort() -> None:
    config = json.loads(dns_config(DnsSettings(DnsParts(magic_dns=False, nameservers=resolvers(["1.1.1.1"])))))
    assert config == {"FallbackResolvers": [{"Addr": "1.1.1.1"}]}


def test_nextdns_learns_the_device_unless_told_not_to() -> None:
    settings = DnsSettings(DnsParts(nameservers=resolvers(["https://dns.nextdns.io/abc", "9.9.9.9"])))
    assert nextdns_resolvers(settings, b"{}", NODE) == resolvers(
        ["https://dns.nextdns.io/abc?device_name=web&device_ip=100.64.0.7", "9.9.9.9"]
    )
    caps = b'{"nextdns:xyz":[],"nextdns:no-device-info":[]}'
    assert nextdns_resolvers(settings, caps, NODE) == resolvers(["https://dns.nextdns.io/xyz", "9.9.9.9"])


def test_the_derp_map_merges_files_relays_and_policy() -> None:
    static = json.dumps({"1": {"RegionID": 1}, "900": {"RegionID": 900, "RegionName": "old"}}).encode()
    relays = [
        RelayRecord("900b", 900, "home", "Home", "b.example.net", stun_port=-1),
        RelayRecord("900a", 900, "home", "Home", "192.0.2.1", "sha256-raw:ab", "192.0.2.1", "none", 8443, 3478),
    ]
    assert json.loads(derp_map(static, relays, '{"Regions":{"1":null,"901":{"RegionID":901}}}')) == {
        "HomeParams": {"RegionScore": {}},
        "omitDefaultRegions": True,
        "Regions": {
            "900": {
                "RegionID": 900,
                "RegionCode": "home",
                "RegionName": "Home",
                "Nodes": [
                    {
                        "Name": "900a",
                        "RegionID": 900,
                        "HostName": "192.0.2.1",
                        "CertName": "sha256-raw:ab",
                        "IPv4": "192.0.2.1",
                        "IPv6": "none",
                        "DERPPort": 8443,
                        "STUNPort": 3478,
                    },
                    {"Name": "900b", "RegionID": 900, "HostName": "b.example.net", "STUNPort": -1},
                ],
            },
            "901": {"RegionID": 901},
        },
    }


def test_a_policy_that_omits_the_default_regions_leaves_only_its_own_and_its_scores() -> None:
    static = json.dumps({"1": {"RegionID": 1}}).encode()
    relays = [RelayRecord("900a", 900, "home", "Home", "192.0.2.1")]
    policy = {
        "OmitDefaultRegions": True,
        "Regions": {"901": {"RegionID": 901}, "900": None},
        "HomeParams": {"RegionScore": {"901": 0.5}},
    }
    assert json.loads(derp_map(static, relays, json.dumps(policy))) == {
        "HomeParams": {"RegionScore": {"901": 0.5}},
        "omitDefaultRegions": True,
        "Regions": {"901": {"RegionID": 901}},
    }


def test_clients_that_read_no_pins_are_sent_pinned_relays_from_every_source_with_any_certificate_accepted() -> None:
    pinned = {"Name": "1a", "RegionID": 1, "HostName": "c.example.net", "CertName": "sha256-raw:cd"}
    static = json.dumps({"1": {"RegionID": 1, "Nodes": [pinned]}, "2": {"RegionID": 2, "Nodes": None}}).encode()
    relays = [
        RelayRecord("900a", 900, "home", "Home", "192.0.2.1", "sha256-raw:ab", derp_port=8443),
        RelayRecord("900b", 900, "home", "Home", "b.example.net", "other.example.net"),
        RelayRecord("900c", 900, "home", "Home", "c.example.net"),
    ]
    policy = {"901": {"RegionID": 901, "Nodes": [pinned | {"Name": "901a", "RegionID": 901}]}}
    text = derp_map(static, relays, json.dumps({"Regions": policy}))
    found = json.loads(without_pins(text))["Regions"]
    accepting = {"HostName": "c.example.net", "InsecureForTests": True}
    assert found["1"]["Nodes"] == [{"Name": "1a", "RegionID": 1, **accepting}]
    assert found["901"]["Nodes"] == [{"Name": "901a", "RegionID": 901, **accepting}]
    assert found["900"]["Nodes"] == [
        {"Name": "900a", "RegionID": 900, "HostName": "192.0.2.1", "DERPPort": 8443, "InsecureForTests": True},
        {"Name": "900b", "RegionID": 900, "HostName": "b.example.net", "CertName": "other.example.net"},
        {"Name": "900c", "RegionID": 900, "HostName": "c.example.net"},
    ]
    without = derp_map(b"{}", relays[1:])
    assert without_pins(without) is without
