"""The HTTP/1.1 listener: uvicorn's, but `/ts2021` is taken over inside it, without another hop.

Also bounds what uvicorn leaves open: how long and how large a request may be before it is whole, and how many
connections may wait without one.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import ClassVar
from urllib.parse import unquote_to_bytes

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from gateway.edge.gate import Visit
from gateway.edge.tunnels import Tunnels
from gateway.edge.websocket import WebSocketCarrier
from gateway.edge.wheel import Timer
from gateway.proxies import client_address, header_fields
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

TUNNEL_PATH = b"/ts2021"
UPGRADE = b"tailscale-control-protocol"
HANDSHAKE = b"x-tailscale-handshake"
MAX_HEAD = 64 << 10

# Go compares the value of Upgrade letter by letter and needs the token `upgrade` in Connection (net/http).
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: tailscale-control-protocol\r\nConnection: upgrade\r\n\r\n"


def listener_class(tunnels: Tunnels) -> type[HttpToolsProtocol]:
    """The class for `uvicorn.Config(http=…, loop="uvloop")`; everything but `/ts2021` goes to the ASGI application."""
    return type("BoundListener", (Listener,), {"tunnels": tunnels})


class Listener(HttpToolsProtocol):
    """One HTTP/1.1 connection, until it becomes a tunnel."""

    tunnels: ClassVar[Tunnels]

    _visit: Visit | None = None
    _deadline: Timer | None = None
    _head_size = 0
    _in_head = True
    _for_tunnel = False
    _over = False
    """Refused or handed over: whatever still comes is not ours."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Let the connection in, if there is room."""
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        self._visit = self.tunnels.gate.enter(address, self._drop)
        if self._visit is None:
            self._over = True
            self.connections.discard(self)
            transport.abort()
            return
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._disarm()
        if self._visit is not None:
            self._visit.left()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; take the connection over when the request for it is complete."""
        if self._over:
            return
        self._unset_keepalive_if_required()
        if self._in_head:
            self._head_size += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._for_tunnel:
                self._take_over(data[upgrade.args[0] :])
            elif self._should_upgrade_to_ws() and self._get_upgrade() == b"websocket":
                self._hand_to_uvicorn()
        except httptools.HttpParserError:
            self._refuse(400, "invalid http request")
            return
        if self._in_head and self._head_size > MAX_HEAD and not self._over:
            self._refuse(431, "request header too large")

    # The parser's callbacks

    def on_message_begin(self) -> None:
        """A request starts: it has until the deadline."""
        super().on_message_begin()
        self._in_head, self._for_tunnel = True, False
        if self._deadline is None:
            self._arm()

    def on_headers_complete(self) -> None:
        """Decide whose request it is."""
        self._in_head, self._head_size = False, 0
        self._for_tunnel = httptools.parse_url(self.url).path == TUNNEL_PATH
        if not self._for_tunnel:
            super().on_headers_complete()
        elif self.parser.get_method() not in (b"POST", b"GET"):
            self._refuse(405, "method not allowed")
        elif not self.parser.should_upgrade() or self._get_upgrade() not in (UPGRADE, b"websocket"):
            self._refuse(400, "missing or unknown upgrade header")
        elif self.cycle is not None and not self.cycle.response_complete:
            self._refuse(400, "upgrade behind an unanswered request")

    def on_body(self, body: bytes) -> None:
        """A request to take the connection over needs none, and what it has is read over."""
        if not self._for_tunnel and not self._over:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._disarm()
        if self._visit is not None and not self._over:
            self._visit.proved()
        if not self._for_tunnel and not self._over:
            super().on_message_complete()

    def _should_upgrade(self) -> bool:
        return not self._for_tunnel and super()._should_upgrade()

    # The take-over

    def _take_over(self, read_ahead: bytes) -> None:
        if self._over:
            return
        websocket = self._get_upgrade() == b"websocket"
        text = self._query_handshake() if websocket else self._header_handshake()
        initiation = _decode(text)
        if initiation is None:
            self._refuse(400, "missing or invalid handshake")
            return
        visit = self._visit
        assert visit is not None
        if wait := self.tunnels.attempts.from_address(self._learn_client(visit)):
            self._refuse(429, f"too many connections from this address, try again in {wait} s", wait)
            return
        if websocket:
            self._leave_uvicorn()
            request = b"GET %b HTTP/1.1\r\n%b\r\n" % (self.url, b"".join(b"%b: %b\r\n" % each for each in self.headers))
            carrier = WebSocketCarrier(self.transport, self.tunnels, visit)
            self.transport.set_protocol(carrier)
            carrier.begin(request, initiation, read_ahead)
            return
        self._leave_uvicorn()
        tunnel = self.tunnels.open(self.transport, visit, initiation, SWITCHING)
        if tunnel is None:
            self.transport.set_protocol(_Ending(visit))
            return
        self.transport.set_protocol(tunnel)
        if read_ahead:
            tunnel.data_received(read_ahead)

    def _learn_client(self, visit: Visit) -> str:
        """The client's own address, which a trusted proxy says in the request."""
        if trusted := self.tunnels.settings.trusted_proxies:
            visit.client = client_address(visit.address, header_fields(self.headers or ()), trusted)
        return visit.client

    def _leave_uvicorn(self) -> None:
        """From here on uvicorn knows nothing of this connection, and its end of a request does not end it."""
        self._over = True
        self._disarm()
        self.connections.discard(self)
        high = self.tunnels.settings.high_water
        self.transport.set_write_buffer_limits(high=high, low=high // 4)
        self.parser = None  # type: ignore[assignment]  # as uvicorn does: the two hold each other

    def _hand_to_uvicorn(self) -> None:
        self._over = True
        self._disarm()
        if self._visit is not None:
            self._visit.left()
        self.handle_websocket_upgrade()

    def _header_handshake(self) -> bytes | None:
        return next((value for name, value in self.headers if name == HANDSHAKE), None)

    def _query_handshake(self) -> bytes | None:
        for part in (httptools.parse_url(self.url).query or b"").split(b"&"):
            name, _, value = part.partition(b"=")
            if name.lower() == HANDSHAKE:
                return unquote_to_bytes(value)
        return None

    # Refusals and deadlines

    def _refuse(self, status: int, text: str, retry_after: int = 0) -> None:
        """Answer in plain text and close. The text is ours: nothing of the request is repeated."""
        if self._over:
            return
        self._over = True
        self._disarm()
        self.tunnels.counts.upgrades_refused += self._for_tunnel
        address = self._learn_client(self._visit) if self._visit is not None else ""
        log.info("request refused", status=status, reason=text, address=address)
        if self.cycle is None or self.cycle.response_complete:
            body = text.encode() + b"\n"
            later = b"retry-after: %d\r\n" % retry_after if retry_after else b""
            self.transport.write(
                b"%b%bcontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
                % (STATUS_LINE[status], later, len(body), body)
            )
        self.transport.close()
        self._deadline = self.tunnels.wheel.after(self.tunnels.settings.head_deadline, self.transport.abort)

    def _arm(self) -> None:
        self._deadline = self.tunnels.wheel.after(self.tunnels.settings.head_deadline, self._late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        self.tunnels.counts.half_open_dropped += 1
        self._drop()

    def _drop(self) -> None:
        self._over = True
        self.transport.abort()


class _Ending(asyncio.Protocol):
    """Waits for the end of a connection that was refused."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit

    def connection_lost(self, exc: Exception | None) -> None:
        self._visit.left()


def _decode(text: bytes | None) -> bytes | None:
    """Standard base64 with its padding, or None."""
    if not text:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
