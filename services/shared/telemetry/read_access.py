"""Authorization of reads of metrics and debug pages by network address. Pure.

Forwarding headers can only deny access. A page open to loopback would be open to the world behind a proxy on the same
host, so every address that a request names must be allowed as well as the peer's own.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

NEIGHBOURS: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)
TAILNET = ipaddress.ip_network("fd7a:115c:a1e0::/48")
"""Tailscale's range inside fc00::/7, whose hosts are nodes, not administrators."""
FORWARDING = ("x-forwarded-for", "x-real-ip", "true-client-ip", "cf-connecting-ip")
_FOR = re.compile(r'for="?\[?([^\]",;\s]+)', re.IGNORECASE)


def may_read(peer: str, headers: Mapping[str, str], more: Iterable[Network] = ()) -> bool:
    """Return whether a request from `peer` is allowed. Header names are lower-case; `more` are extra networks."""
    named = [part for name in FORWARDING if name in headers for part in headers[name].split(",")]
    if "forwarded" in headers:
        named += _FOR.findall(headers["forwarded"]) or [""]
    networks = tuple(more)
    return all(_allowed(address, networks) for address in (peer, *named))


def _allowed(text: str, more: tuple[Network, ...]) -> bool:
    try:
        address: Address = ipaddress.ip_address(text.strip().partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if any(address in network for network in more):
        return True
    return address not in TAILNET and any(address in network for network in NEIGHBOURS)
