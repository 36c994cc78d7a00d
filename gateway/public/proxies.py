"""Who the client is when a trusted reverse proxy stands between. Pure; the wiring says whom to trust.

Headscale's order: `True-Client-IP`, `X-Real-IP`, then the last address of `X-Forwarded-For` that is no trusted proxy.
From anyone else these headers are lies and are not looked at.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Read `trusted_proxies`.

    Raises:
        ValueError: one of them is no network, or is the whole internet.
    """
    networks = tuple(ipaddress.ip_network(text, strict=False) for text in texts)
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError("trusted_proxies must not hold the whole internet")
    return networks


def client_address(peer: str, headers: Mapping[str, str], trusted: Sequence[Network]) -> str:
    """The address of the client: the peer's, or what a trusted peer says it is. Header names are lower-case."""
    if not _is_trusted(peer, trusted):
        return peer
    for name in ("true-client-ip", "x-real-ip"):
        if (said := _address(headers.get(name, ""))) is not None:
            return said
    for hop in reversed(headers.get("x-forwarded-for", "").split(",")):
        if (said := _address(hop)) is not None and not _is_trusted(said, trusted):
            return said
    return peer


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


class ClientAddress:
    """Puts the client's own address where handlers look for it."""

    def __init__(self, app: ASGIApp, trusted: Sequence[Network]) -> None:
        self._app, self._trusted = app, trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if self._trusted and scope["type"] in ("http", "websocket") and scope.get("client"):
            host, port = scope["client"]
            headers: dict[str, str] = {}
            for name, value in scope["headers"]:
                key, text = name.decode("latin-1"), value.decode("latin-1")
                headers[key] = f"{headers[key]},{text}" if key in headers else text
            scope = {**scope, "client": (client_address(host, headers, self._trusted), port)}
        await self._app(scope, receive, send)
