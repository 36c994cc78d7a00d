"""HTTP/1.1 connections: uvicorn serves them; `/ts2021` goes to `tunnels`, the relay's paths to `handovers.relay`.

Adds the bounds that uvicorn lacks: time and size of a request until it is complete, and the number of connections that
wait without one. Knows no other path; everything else goes to the ASGI application.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import ClassVar
from urllib.parse import unquote_to_bytes

import httptools

from gateway.edge.limiter import ConnectionSlot
from gateway.edge.tunnels import Tunnels
from gateway.edge.wheel import Timer
from gateway.proxies import client_address, header_fields
from services.shared.net.handover import Handovers
from services.shared.telemetry.logs import get_logger
from services.shared.uvicorn_parts import STATUS_LINE, HttpToolsProtocol

log = get_logger(__name__)

TUNNEL_PATH = b"/ts2021"
RELAY_PATHS = frozenset((b"/derp", b"/derp/probe", b"/derp/latency-check", b"/generate_204", b"/bootstrap-dns"))
UPGRADE = b"tailscale-control-protocol"
HANDSHAKE = b"x-tailscale-handshake"
MAX_HEAD = 64 << 10
STRIPPED = "a proxy took the Upgrade header away"
"""The reason where a handshake comes without the upgrade that its client asked for."""

# Go compares the value of Upgrade letter by letter and needs the token `upgrade` in Connection (net/http).
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: tailscale-control-protocol\r\nConnection: upgrade\r\n\r\n"


def listener_class(tunnels: Tunnels, handovers: Handovers | None = None) -> type[HttpToolsProtocol]:
    """Return the class for `uvicorn.Config(http=…)`, bound to the tunnels of this process, and to its relay if any."""
    return type("BoundListener", (HttpConnection,), {"tunnels": tunnels, "handovers": handovers or Handovers()})


class HttpConnection(HttpToolsProtocol):
    """One HTTP/1.1 connection, until it becomes a tunnel."""

    tunnels: ClassVar[Tunnels]
    handovers: ClassVar[Handovers]

    _slot: ConnectionSlot | None = None
    _deadline: Timer | None = None
    _head_size = 0
    _in_head = True
    _for_tunnel = False
    _for_relay = False
    _finished = False
    """Whether the connection was refused or handed over, so that further data is ignored."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Admit the connection within the limits."""
        super().connection_made(transport)
        address = self.client[0] if self.client else ""
        self._slot = self.tunnels.limiter.acquire(address, self._drop)
        if self._slot is None:
            self._finished = True
            self.connections.discard(self)
            transport.abort()
            return
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the slot of the connection."""
        self._disarm()
        if self._slot is not None:
            self._slot.release()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; hand the connection over when an upgrade request is complete."""
        if self._finished:
            return
        self._unset_keepalive_if_required()
        if self._in_head:
            self._head_size += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._for_tunnel:
                self._upgrade(data[upgrade.args[0] :])
            elif self._for_relay:
                self._hand_to_relay(data[upgrade.args[0] :], upgrade=True)
            elif self._should_upgrade_to_ws() and self._get_upgrade() == b"websocket":
                self._hand_to_uvicorn()
        except httptools.HttpParserError:
            self._refuse(400, "invalid http request")
            return
        if self._in_head and self._head_size > MAX_HEAD and not self._finished:
            self._refuse(431, "request header too large")

    # Callbacks of the parser

    def on_message_begin(self) -> None:
        """Start the deadline of a request."""
        if self._finished:
            return
        super().on_message_begin()
        self._in_head, self._for_tunnel, self._for_relay = True, False, False
        if self._deadline is None:
            self._arm()

    def on_headers_complete(self) -> None:
        """Decide who answers the request."""
        if self._finished:
            return
        self._in_head, self._head_size = False, 0
        path = httptools.parse_url(self.url).path
        self._for_tunnel = path == TUNNEL_PATH
        self._for_relay = path in RELAY_PATHS and self.handovers.relay is not None
        if self._for_relay:
            if self.cycle is not None and not self.cycle.response_complete:
                self._refuse(400, "upgrade behind an unanswered request")
        elif not self._for_tunnel:
            super().on_headers_complete()
        elif self.parser.get_method() not in (b"POST", b"GET"):
            self._refuse(405, "method not allowed")
        elif not self.parser.should_upgrade() or self._get_upgrade() not in (UPGRADE, b"websocket"):
            shaken = self._header_handshake() is not None or self._query_handshake() is not None
            self._refuse(400, STRIPPED if shaken and not self._get_upgrade() else "missing or unknown upgrade header")
        elif self.cycle is not None and not self.cycle.response_complete:
            self._refuse(400, "upgrade behind an unanswered request")

    def on_body(self, body: bytes) -> None:
        """Pass on a body; that of an upgrade request is ignored."""
        if not self._is_taken and not self._finished:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the deadline: the request is complete."""
        self._disarm()
        if self._finished:
            return
        if self._slot is not None:
            self._slot.mark_authenticated()
        if self._for_relay and not self.parser.should_upgrade():
            self._hand_to_relay(b"", upgrade=False)
        elif not self._is_taken:
            super().on_message_complete()

    def _should_upgrade(self) -> bool:
        return not self._is_taken and super()._should_upgrade()

    @property
    def _is_taken(self) -> bool:
        """Return whether the request is for a protocol that takes the connection over."""
        return self._for_tunnel or self._for_relay

    # The upgrade

    def _upgrade(self, read_ahead: bytes) -> None:
        if self._finished:
            return
        websocket = self._get_upgrade() == b"websocket"
        text = self._query_handshake() if websocket else self._header_handshake()
        initiation = _decode(text)
        if initiation is None:
            self._refuse(400, "missing or invalid handshake")
            return
        slot = self._slot
        assert slot is not None
        if wait := self.tunnels.handshake_rates.charge_network(self._set_client(slot)):
            self._refuse(429, f"too many connections from this address, try again in {wait} s", wait)
            return
        if websocket:
            self._leave_uvicorn()
            request = b"GET %b HTTP/1.1\r\n%b\r\n" % (self.url, b"".join(b"%b: %b\r\n" % each for each in self.headers))
            from gateway.edge.websocket import WebSocketCarrier  # late: only browsers come over WebSocket

            carrier = WebSocketCarrier(self.transport, self.tunnels, slot)
            self.transport.set_protocol(carrier)
            carrier.begin(request, initiation, read_ahead)
            return
        self._leave_uvicorn()
        tunnel = self.tunnels.open(self.transport, slot, initiation, SWITCHING)
        if tunnel is None:
            self.transport.set_protocol(_RefusedConnection(slot))
            return
        self.transport.set_protocol(tunnel)
        if read_ahead:
            tunnel.data_received(read_ahead)

    def _hand_to_relay(self, read_ahead: bytes, *, upgrade: bool) -> None:
        """Hand the connection to the relay. One that does not become DERP ends after the answer."""
        slot, adopt = self._slot, self.handovers.relay
        if self._finished or slot is None:
            return
        if adopt is None:
            self._refuse(503, "the relay has stopped")
            return
        kept = [(name, value) for name, value in self.headers if upgrade or name != b"connection"]
        if not upgrade:
            kept.append((b"connection", b"close"))
        head = b"%b %b HTTP/1.1\r\n%b\r\n" % (
            self.parser.get_method(), self.url, b"".join(b"%b: %b\r\n" % each for each in kept),
        )  # fmt: skip
        port = int(self.client[1]) if self.client else 0
        address = self._set_client(slot), port
        self._leave_uvicorn()
        slot.release()
        if not adopt(self.transport, address, head + read_ahead):
            self.transport.abort()

    def _set_client(self, slot: ConnectionSlot) -> str:
        """Return the address of the client, which a trusted proxy names in the request."""
        if trusted := self.tunnels.settings.trusted_proxies:
            slot.client = client_address(slot.address, header_fields(self.headers or ()), trusted)
        return slot.client

    def _leave_uvicorn(self) -> None:
        """Detach the connection from uvicorn, which would close it at the end of the request."""
        self._finished = True
        self._disarm()
        self.connections.discard(self)
        high = self.tunnels.settings.high_water
        self.transport.set_write_buffer_limits(high=high, low=high // 4)
        self.parser = None  # type: ignore[assignment]  # as uvicorn does: breaks a reference cycle

    def _hand_to_uvicorn(self) -> None:
        self._finished = True
        self._disarm()
        if self._slot is not None:
            self._slot.release()
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
        """Answer in plain text and close. Nothing of the request is repeated in the text."""
        if self._finished:
            return
        self._finished = True
        self._disarm()
        self.tunnels.counts.upgrades_refused += self._for_tunnel
        address = self._set_client(self._slot) if self._slot is not None else ""
        say = log.warning if text == STRIPPED else log.info
        say("request refused", status=status, reason=text, address=address)
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
        self._deadline = self.tunnels.wheel.after(self.tunnels.settings.head_deadline, self._timed_out)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _timed_out(self) -> None:
        self._deadline = None
        self.tunnels.counts.half_open_dropped += 1
        self._drop()

    def _drop(self) -> None:
        self._finished = True
        self.transport.abort()


class _RefusedConnection(asyncio.Protocol):
    """Frees the slot of a connection whose handshake was refused, once it has ended."""

    def __init__(self, slot: ConnectionSlot) -> None:
        self._slot = slot

    def connection_lost(self, exc: Exception | None) -> None:
        self._slot.release()


def _decode(text: bytes | None) -> bytes | None:
    """Decode standard base64 with padding. Returns None if the text is not that."""
    if not text:
        return None
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
