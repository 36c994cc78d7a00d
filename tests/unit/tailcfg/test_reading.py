"""Requests of clients, good and bad."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.shared.keys import DiscoKey, NodeKey
from services.shared.tailcfg.address import parse_endpoint, parse_prefix
from services.shared.tailcfg.errors import ClientRequestError
from services.shared.tailcfg.hostinfo import for_peers, keep_net_info, load_hostinfo, read_hostinfo
from services.shared.tailcfg.requests import decode_map, decode_register
from services.shared.tailcfg.timestamp import ZERO_TIME, parse_time

KEY = "nodekey:" + "ab" * 32
ZERO = "nodekey:" + "00" * 32


def register(**members: object) -> bytes:
    return json.dumps({"Version": 130, "NodeKey": KEY, **members}).encode()


def test_a_register_request_is_read() -> None:
    request = decode_register(
        register(
            OldNodeKey=ZERO,
            Auth={"AuthKey": "hskey-auth-abc"},
            Expiry=ZERO_TIME,
            Hostinfo={"Hostname": "box", "OS": "linux", "RoutableIPs": ["10.1.2.3/16"], "RequestTags": ["tag:a"]},
            Ephemeral=True,
            NodeKeySignature=None,
        )
    )
    assert request.version == 130
    assert request.node_key == NodeKey.parse(KEY)
    assert request.old_node_key.is_zero
    assert request.auth_key == "hskey-auth-abc"
    assert request.expiry is None
    assert request.hostinfo.hostname == "box"
    assert request.hostinfo.routable_ips == ("10.1.0.0/16",)
    assert request.hostinfo.request_tags == ("tag:a",)
    assert request.ephemeral
    assert "hskey" not in repr(request)


@pytest.mark.statement(63)
def test_names_of_members_may_be_in_any_case() -> None:
    body = json.dumps({"version": 1, "NODEKEY": KEY, "HostInfo": {"hostName": "rs", "netinfo": {"preferredderp": 7}}})
    request = decode_map(body.encode())
    assert request.has_hostinfo
    assert request.hostinfo.hostname == "rs"
    assert request.hostinfo.home_derp == 7


def test_a_map_request_is_read() -> None:
    request = decode_map(
        json.dumps(
            {
                "Version": 106,
                "Compress": "zstd",
                "KeepAlive": True,
                "NodeKey": KEY,
                "DiscoKey": "discokey:" + "01" * 32,
                "Stream": True,
                "Endpoints": ["192.0.2.1:41641", "[2001:db8:0::1]:1"],
                "EndpointTypes": [2],
                "Unknown": [[{}]],
            }
        ).encode()
    )
    assert request.disco_key == DiscoKey(b"\x01" * 32)
    assert request.endpoints == ("192.0.2.1:41641", "[2001:db8::1]:1")
    assert request.endpoint_types == (2, 0)
    assert request.stream and not request.omit_peers and not request.has_hostinfo


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"NodeKey":"' + b"\xc3\x28" + b'"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        register(NodeKey=ZERO),
        register(NodeKey="nodekey:abcd"),
        register(NodeKey="mkey:" + "ab" * 32),
        register(NodeKey=7),
        register(Version=-1),
        register(Version="130"),
        register(Version=1.5),
        register(Version=10**400),
        register(Auth="key"),
        register(Auth={"AuthKey": "k" * 600}),
        register(Expiry="tomorrow"),
        register(Followup="u" * 3000),
        register(Hostinfo=[]),
        register(Hostinfo={"Hostname": 7}),
        register(Hostinfo={"RoutableIPs": ["10.0.0.0/33"]}),
        register(Hostinfo={"RoutableIPs": ["10.0.0.0/255.0.0.0"]}),
        register(Hostinfo={"RoutableIPs": "10.0.0.0/8"}),
        register(Hostinfo={"NetInfo": {"PreferredDERP": -1}}),
        register(Hostinfo={"NetInfo": {"DERPLatency": {"1-v4": "fast"}}}),
        register(Hostinfo={"Services": [7]}),
        register(NodeKeySignature="!!!"),
    ],
)
def test_a_bad_request_is_refused_without_its_own_words(body: bytes) -> None:
    with pytest.raises(ClientRequestError) as caught:
        decode_register(body)
    assert len(str(caught.value)) < 100


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    with pytest.raises(ClientRequestError):
        decode_map(body)


def test_odd_names_are_cleaned_and_cut() -> None:
    hostinfo = read_hostinfo({"Hostname": "a\x00b\x1b[31m\u202ec\ud800" + "x" * (1 << 20), "OS": "li\nnux"})
    assert hostinfo.hostname.startswith("ab[31mcx")
    assert len(hostinfo.hostname) == 255
    assert hostinfo.os == "linux"


def test_what_was_kept_reads_back_the_same() -> None:
    hostinfo = read_hostinfo({"Hostname": "a", "NetInfo": {"PreferredDERP": 3, "WorkingUDP": False}, "Desktop": False})
    assert load_hostinfo(hostinfo.json) == hostinfo
    assert json.loads(hostinfo.json)["NetInfo"]["WorkingUDP"] is False
    assert load_hostinfo(b"") == read_hostinfo(None)


@pytest.mark.statement(68)
def test_a_missing_net_info_keeps_the_previous_one() -> None:
    old = read_hostinfo({"Hostname": "old", "NetInfo": {"PreferredDERP": 3}})
    new = keep_net_info(read_hostinfo({"Hostname": "new"}), old.json)
    assert (new.hostname, new.home_derp) == ("new", 3)


@pytest.mark.statement(100)
def test_peers_see_services_and_system_but_nothing_private() -> None:
    services = [{"Proto": "peerapi4", "Port": 1234}]
    hostinfo = read_hostinfo(
        {
            "OS": "linux",
            "Hostname": "a",
            "Services": services,
            "sshHostKeys": ["ssh-ed25519 AAAA"],
            "PushDeviceToken": "secret",
            "BackendLogID": "id",
            "TPM": {"Vendor": "v"},
            "NetInfo": {"PreferredDERP": 1},
        }
    )
    assert json.loads(for_peers(hostinfo.json)) == {
        "OS": "linux",
        "Hostname": "a",
        "Services": services,
        "sshHostKeys": ["ssh-ed25519 AAAA"],
    }


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (ZERO_TIME, None),
        ("", None),
        ("0001-01-01T00:00:00+01:00", None),
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.123456789+02:30", datetime(2026, 1, 2, 0, 34, 5, 123456, tzinfo=UTC)),
        ("9999-12-31T23:59:59-01:00", datetime.max.replace(tzinfo=UTC)),
    ],
)
def test_times_are_read_with_any_offset_and_fraction(text: str, value: datetime | None) -> None:
    assert parse_time(text) == value


@pytest.mark.parametrize("text", ["2026", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00", "2026-01-01T25:00:00Z"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(ClientRequestError):
        parse_time(text)


@pytest.mark.parametrize(
    "text", ["1.2.3.4", "1.2.3.4:65536", "2001:db8::1:5", "[1.2.3.4]:5", "host:5", ":5", "1.2.3.04:5"]
)
def test_bad_endpoints_are_refused(text: str) -> None:
    with pytest.raises(ClientRequestError):
        parse_endpoint(text)


def test_prefixes_lose_their_host_bits() -> None:
    assert parse_prefix("fd7a:115c:a1e0::1/48") == "fd7a:115c:a1e0::/48"
    assert parse_prefix("0.0.0.0/0") == "0.0.0.0/0"
