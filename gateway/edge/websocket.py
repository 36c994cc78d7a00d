"""Carries a tunnel over WebSocket, as browsers need it: the same byte stream, cut anywhere into binary messages.

An asyncio protocol towards the socket and a transport towards the tunnel, so that the tunnel outlives the request that
asked for it. No compression, any Origin; a text message is an error (close code 1003).
"""

from __future__ import annotations

import asyncio

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Request,
    TextMessage,
)
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from gateway.edge.limiter import ConnectionSlot
from gateway.edge.tunnel import Tunnel
from gateway.edge.tunnels import Tunnels
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

SUBPROTOCOL = "tailscale-control-protocol"
MAX_MESSAGE = 32 << 10
"""Read limit of the WebSocket library of Go clients (github.com/coder/websocket)."""
MAX_UNREAD_ANSWERS = 1 << 20
"""Bytes of unsent data at which a peer that sends PINGs without reading the answers is cut off."""
BAD_HANDSHAKE = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 28\r\n"
    b"connection: close\r\n\r\ninvalid websocket handshake\n"
)


class WebSocketCarrier(asyncio.Protocol):
    """Carries one tunnel."""

    __slots__ = ("_closed", "_slot", "_socket", "_tunnel", "_tunnels", "_ws")

    def __init__(self, socket: asyncio.Transport, tunnels: Tunnels, slot: ConnectionSlot) -> None:
        self._socket = socket
        self._tunnels = tunnels
        self._slot = slot
        self._ws = WSConnection(ConnectionType.SERVER)
        self._tunnel: Tunnel | None = None
        self._closed = False

    def begin(self, request: bytes, initiation: bytes, read_ahead: bytes) -> None:
        """Answer the WebSocket handshake, then the one inside it."""
        try:
            self._ws.receive_data(request)
            asked = next(event for event in self._ws.events() if isinstance(event, Request))
        except (RemoteProtocolError, StopIteration, ValueError):
            # ValueError: the parser decodes some headers as ASCII without asking whether they are.
            self._socket.write(BAD_HANDSHAKE)
            self._close_transport()
            return
        if SUBPROTOCOL not in asked.subprotocols:
            self._send(AcceptConnection())
            self._end(CloseReason.POLICY_VIOLATION)
            return
        self._send(AcceptConnection(subprotocol=SUBPROTOCOL))
        self._tunnel = self._tunnels.open(self, self._slot, initiation)
        if read_ahead:
            self.data_received(read_ahead)

    # The socket's side

    def data_received(self, data: bytes) -> None:
        """Unwrap messages; their ends carry no meaning."""
        if self._closed or self._tunnel is None:
            return
        try:
            self._ws.receive_data(data)
            for event in self._ws.events():
                self._handle(self._tunnel, event)
                if self._closed:
                    return
        except (RemoteProtocolError, ValueError) as error:
            hint = getattr(error, "event_hint", None)
            self._end(hint.code if isinstance(hint, CloseConnection) else CloseReason.PROTOCOL_ERROR)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the tunnel with its socket."""
        self._closed = True
        if self._tunnel is not None:
            self._tunnel.connection_lost(exc)
        self._slot.release()

    def pause_writing(self) -> None:
        """Pass on that the socket is full."""
        if self._tunnel is not None:
            self._tunnel.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that the socket takes more."""
        if self._tunnel is not None:
            self._tunnel.resume_writing()

    def _handle(self, tunnel: Tunnel, event: Event) -> None:
        match event:
            case BytesMessage():
                tunnel.data_received(bytes(event.data))
            case TextMessage():
                self._end(CloseReason.UNSUPPORTED_DATA)
            case Ping():
                if self._socket.get_write_buffer_size() > MAX_UNREAD_ANSWERS:
                    self.abort()
                else:
                    self._send(event.response())
            case CloseConnection():
                self._send(event.response())
                self._close_transport()

    # The tunnel's side

    def write(self, data: bytes) -> None:
        """Send bytes as binary messages."""
        if self._closed:
            return
        for start in range(0, len(data), MAX_MESSAGE):
            self._send(BytesMessage(data=data[start : start + MAX_MESSAGE]))

    def close(self) -> None:
        """End the WebSocket, then the connection."""
        self._end(CloseReason.NORMAL_CLOSURE)

    def abort(self) -> None:
        """Cut the connection."""
        self._closed = True
        self._socket.abort()

    def get_extra_info(self, name: str) -> object:
        """Return what the socket's transport knows."""
        return self._socket.get_extra_info(name)

    def is_closing(self) -> bool:
        """Return whether the connection is closing."""
        return self._closed or self._socket.is_closing()

    def _end(self, code: int) -> None:
        if not self._closed:
            self._send(CloseConnection(code=code))
            self._close_transport()

    def _close_transport(self) -> None:
        self._closed = True
        self._socket.close()
        self._tunnels.wheel.after(self._tunnels.settings.head_deadline, self._socket.abort)

    def _send(self, event: Event) -> None:
        try:
            self._socket.write(self._ws.send(event))
        except LocalProtocolError:
            # The peer has already closed its side, so the message cannot be sent.
            self._closed = True
            self._socket.close()
