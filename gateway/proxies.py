"""Finds the address of the client behind trusted reverse proxies. Pure; the configuration names the trusted networks.

Headscale's order: `True-Client-IP`, `X-Real-IP`, then the last address of `X-Forwarded-For` that is no trusted proxy.
Of other peers these headers are ignored.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Read `trusted_proxies`.

    Raises:
        ValueError: one of them is not a network, or is the whole internet.
    """
    networks = tuple(ipaddress.ip_network(text, strict=False) for text in texts)
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError("trusted_proxies must not hold the whole internet")
    return networks


def client_address(peer: str, headers: Mapping[str, str], trusted: Sequence[Network]) -> str:
    """Return the client's address: the peer's, or that in a trusted proxy's headers. Header names are lower-case.

    >>> client_address("10.0.0.1", {"x-forwarded-for": "192.0.2.7, 10.0.0.2"}, parse_networks(["10.0.0.0/8"]))
    '192.0.2.7'
    """
    if not _is_trusted(peer, trusted):
        return peer
    for name in ("true-client-ip", "x-real-ip"):
        if (named := _address(headers.get(name, ""))) is not None:
            return named
    for hop in reversed(headers.get("x-forwarded-for", "").split(",")):
        if (named := _address(hop)) is not None and not _is_trusted(named, trusted):
            return named
    return peer


def header_fields(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return header fields as text by lower-case name; repeated fields are joined by commas (RFC 9110 section 5.3).

    >>> header_fields([(b"X-Real-IP", b"192.0.2.7"), (b"Via", b"a"), (b"via", b"b")])
    {'x-real-ip': '192.0.2.7', 'via': 'a,b'}
    """
    fields: dict[str, str] = {}
    for name, value in raw:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        fields[key] = f"{fields[key]},{text}" if key in fields else text
    return fields


def _address(text: str) -> str | None:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return None


def _is_trusted(text: str, trusted: Sequence[Network]) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in trusted)
