"""ASGI middleware that replaces a trusted proxy's address by the client's own."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.proxies import Network, client_address, header_fields


class ClientAddress:
    """Replaces the address in the scope of requests that a trusted proxy forwards."""

    def __init__(self, app: ASGIApp, trusted: Sequence[Network]) -> None:
        self._app, self._trusted = app, trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if self._trusted and scope["type"] in ("http", "websocket") and scope.get("client"):
            host, port = scope["client"]
            address = client_address(host, header_fields(scope["headers"]), self._trusted)
            scope = {**scope, "client": (address, port)}
        await self._app(scope, receive, send)
