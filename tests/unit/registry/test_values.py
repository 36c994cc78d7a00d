"""Routes, tags, endpoints, hostinfo, relays and user names: what is read and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from services.registry.model.endpoint import MAX_ENDPOINTS, read_endpoints
from services.registry.model.errors import InvalidInputError
from services.registry.model.hostinfo import read_hostinfo
from services.registry.model.relay import Relay, check_relay
from services.registry.model.route import read_routes, with_both_exits
from services.registry.model.tag import read_tags
from services.registry.model.user import check_name, check_text, check_url
from services.shared.tailcfg.hostinfo import keep_net_info


def test_routes_are_masked_sorted_and_told_once() -> None:
    assert read_routes(["fd00::1/64", "10.1.2.3/8", "10.0.0.0/8", "0.0.0.0/0"]) == (
        "0.0.0.0/0",
        "10.0.0.0/8",
        "fd00::/64",
    )


@pytest.mark.parametrize(
    "route", ["", "10.0.0.0", "10.0.0.0/33", "x/8", "fe80::1%eth0/64", "10.0.0.0/8/9", "/", "1" * 99]
)
def test_what_is_no_cidr_is_no_route(route: str) -> None:
    with pytest.raises(InvalidInputError):
        read_routes([route])


def test_one_exit_route_brings_the_other() -> None:
    assert with_both_exits(("::/0", "fd00::/64")) == ("0.0.0.0/0", "::/0", "fd00::/64")
    assert with_both_exits(("10.0.0.0/8",)) == ("10.0.0.0/8",)


@pytest.mark.statement(58)
@pytest.mark.parametrize(
    "tag", ["", "tag:", "tag:1a", "tag:a_b", "x", "TAG:a", "tag:a b", "tag:ä", "tag:a\n", "tag:" + "a" * 300]
)
def test_a_tag_of_another_form_is_refused(tag: str) -> None:
    with pytest.raises(InvalidInputError):
        read_tags([tag])


def test_tags_are_sorted_and_told_once() -> None:
    assert read_tags(["tag:b", "tag:A-1", "tag:b"]) == ("tag:A-1", "tag:b")


def test_endpoints_keep_the_clients_order_and_their_types() -> None:
    texts = ["203.0.113.7:41641", "[2001:DB8::1]:41641", "203.0.113.7:41641", "192.0.2.1:1"]
    assert read_endpoints(texts, [2, 1, 4]) == (
        ("203.0.113.7:41641", "[2001:db8::1]:41641", "192.0.2.1:1"),
        (2, 1, 0),
    )


@pytest.mark.parametrize(
    "text", ["", "1.2.3.4", "1.2.3.4:99999", "[::1]", "::1:5", "host:1", "1.2.3.4:-1", "[1.2.3.4]:1"]
)
def test_what_is_no_endpoint_is_refused(text: str) -> None:
    with pytest.raises(InvalidInputError):
        read_endpoints([text], [])


def test_endless_endpoints_are_cut() -> None:
    endpoints, types = read_endpoints([f"192.0.2.1:{port}" for port in range(1, 1000)], [9] * 1000)
    assert len(endpoints) == len(types) == MAX_ENDPOINTS
    assert set(types) == {0}


def test_hostinfo_is_read_for_what_we_act_on() -> None:
    data = {
        "Hostname": "a\u0000b\u202ec",
        "RoutableIPs": ["10.0.0.5/8"],
        "RequestTags": ["tag:x"],
        "NetInfo": {"PreferredDERP": 900},
    }
    info = read_hostinfo(json.dumps(data).encode())
    assert (info.hostname, info.routable_ips, info.request_tags, info.home_derp) == (
        "abc",
        ("10.0.0.0/8",),
        ("tag:x",),
        900,
    )


@pytest.mark.statement(68)
def test_netinfo_that_is_left_out_is_kept() -> None:
    old = read_hostinfo(b'{"OS":"linux","NetInfo":{"PreferredDERP":7}}')
    merged = keep_net_info(read_hostinfo(b'{"OS":"android"}'), old.json)
    assert merged.home_derp == 7
    assert json.loads(merged.json) == {"OS": "android", "NetInfo": {"PreferredDERP": 7}}
    moved = keep_net_info(read_hostinfo(b'{"NetInfo":{"PreferredDERP":8}}'), old.json)
    assert moved.home_derp == 8


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"[]",
        b"7",
        b"\xff\xfe",
        b'{"Hostname":7}',
        b'{"RoutableIPs":"x"}',
        b'{"RoutableIPs":["x"]}',
        b'{"RequestTags":["x"]}',
        b'{"NetInfo":[]}',
        b'{"NetInfo":{"PreferredDERP":-1}}',
        b'{"NetInfo":{"PreferredDERP":1e99}}',
        b"[" * 5000,
        b'{"a":' * 5000,
        b'{"Hostname":"' + b"x" * (1 << 20) + b'"}',
    ],
)
def test_hostile_hostinfo_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInputError):
        read_hostinfo(data)


RELAY = Relay(region_id=900, region_code="lab", region_name="Lab", name="900a", host_name="relay.example.org")


@pytest.mark.parametrize(
    "fields",
    [
        {"region_id": 0},
        {"region_id": 1 << 31},
        {"region_code": ""},
        {"name": "a b"},
        {"host_name": ""},
        {"host_name": "a/b"},
        {"host_name": "fe80::1%1"},
        {"cert_name": "sha256-raw:xyz"},
        {"ipv4": "::1"},
        {"ipv6": "1.2.3.4"},
        {"derp_port": 0},
        {"derp_port": 65536},
        {"stun_port": -2},
        {"region_name": "a\nb"},
    ],
)
def test_a_relay_that_no_client_could_use_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        check_relay(replace(RELAY, **fields))  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["relay.example.org", "192.0.2.1", "2001:db8::1", "localhost"])
def test_a_relay_has_a_name_or_an_address(host: str) -> None:
    relay = replace(RELAY, host_name=host, cert_name="sha256-raw:" + "ab" * 32, ipv4="none", stun_port=-1)
    assert check_relay(relay) == relay


@pytest.mark.parametrize("name", ["", "a", "1a", "-a", "a b", "a@b@c", "a/b", "a\n", "x" * 300, "a\u202eb"])
def test_a_user_name_has_rules(name: str) -> None:
    with pytest.raises(InvalidInputError):
        check_name(name)


@pytest.mark.parametrize("name", ["john@", "a.b@", "Ål@"])
def test_a_user_name_that_no_policy_could_write_is_refused_with_the_reason(name: str) -> None:
    with pytest.raises(InvalidInputError, match=f"policies write {name} for the user {name[:-1]}"):
        check_name(name)


@pytest.mark.parametrize("name", ["alice", "alice@example.org", "a.b-c_d", "Ål"])
def test_usual_user_names_are_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "url", ["ftp://x/", "x", "http://", "https://a b/", "javascript:alert(1)", "http://[::1", "https://x/\n"]
)
def test_a_picture_is_an_absolute_url(url: str) -> None:
    with pytest.raises(InvalidInputError):
        check_url("profile_pic_url", url)


def test_texts_for_people_have_no_control_characters() -> None:
    assert check_text("display_name", "Zoë 🚀") == "Zoë 🚀"
    with pytest.raises(InvalidInputError):
        check_text("display_name", "a\x1b[31m")
