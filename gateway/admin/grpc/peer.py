"""Addresses in gRPC's text of a peer. Pure."""

from __future__ import annotations

from urllib.parse import unquote


def address_of(peer: str) -> str:
    """Return the address in a peer such as `ipv4:192.0.2.1:4711` or `ipv6:%5B2001:db8::1%5D:4711`."""
    return unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]") or peer
