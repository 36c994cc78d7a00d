"""Who may read metrics and debug pages."""

from __future__ import annotations

import ipaddress

import pytest

from services.shared.telemetry.read_access import may_read

STRANGER = "203.0.113.9"


@pytest.mark.parametrize(
    "peer",
    ["127.0.0.1", "127.9.9.9", "10.1.2.3", "192.168.7.1", "172.31.0.1", "::1", "::ffff:10.0.0.1", "fe80::1%eth0"],
)
def test_neighbours_may(peer: str) -> None:
    assert may_read(peer, {})


@pytest.mark.parametrize(
    "peer",
    [STRANGER, "2001:db8::1", "::ffff:203.0.113.9", "100.64.0.7", "fd7a:115c:a1e0::7", "172.32.0.1", "", "socket"],
)
def test_strangers_and_nodes_may_not(peer: str) -> None:
    assert not may_read(peer, {})


@pytest.mark.parametrize(
    "headers",
    [
        {"x-forwarded-for": STRANGER},
        {"x-forwarded-for": f"127.0.0.1, {STRANGER}"},
        {"x-forwarded-for": f"{STRANGER},127.0.0.1"},
        {"x-forwarded-for": "unknown"},
        {"x-forwarded-for": ""},
        {"x-real-ip": STRANGER},
        {"true-client-ip": STRANGER},
        {"forwarded": f"for={STRANGER}"},
        {"forwarded": 'for=127.0.0.1, for="[2001:db8::1]:4711"'},
        {"forwarded": "by=127.0.0.1"},
    ],
)
def test_what_a_proxy_says_closes_the_door(headers: dict[str, str]) -> None:
    assert not may_read("127.0.0.1", headers)


def test_what_a_proxy_says_never_opens_it() -> None:
    assert not may_read(STRANGER, {"x-forwarded-for": "127.0.0.1", "forwarded": "for=127.0.0.1"})


def test_configured_networks_may_and_their_proxies_too() -> None:
    more = (ipaddress.ip_network("203.0.113.0/24"), ipaddress.ip_network("100.64.0.0/10"))
    assert may_read(STRANGER, {}, more) and may_read("100.64.0.7", {}, more)
    assert may_read("10.0.0.1", {"x-forwarded-for": STRANGER}, more)
    assert not may_read("198.51.100.1", {}, more)
