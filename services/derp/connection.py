"""One accepted socket: passes its bytes to `http`, then to `session`, as they are or out of WebSocket messages.

Reading goes straight into one scratch buffer that all connections of the thread share; nothing of a connection stays
in it after its callback.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from dataclasses import dataclass, field
from typing import cast

from services.derp import frames, http
from services.derp.client_admission import RelayAdmission
from services.derp.handshake import LoginError
from services.derp.lobby import Lobby
from services.derp.relay import Relay
from services.derp.session import LOGIN_READ, LoginRequest, ProtocolError, RelayKeys, RelaySession, Stage
from services.derp.websocket import MessageStream, WebSocketError, binary_message
from services.shared.background import Background
from services.shared.runtime.clock import Clock
from services.shared.telemetry import Telemetry, get_logger

log = get_logger(__name__)

HIGH_WATER = 64 << 10
LOW_WATER = 16 << 10
_TCP_INFO_BYTES_ACKED = struct.Struct("=120xQ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a relay's sockets; the defaults are Tailscale's where it has the same limit."""

    connections: int = 50_000
    lobby: int = 2_048
    handshake_seconds: float = 10.0
    stall_seconds: float = 2.0
    mesh_stall_seconds: float = 30.0
    tick_seconds: float = 0.5


@dataclass(slots=True)
class Refusals:
    """Counters of connections closed before or after login, by reason; read by metrics."""

    full: int = 0
    crowded_out: int = 0
    too_slow: int = 0
    tls: int = 0
    protocol: int = 0
    not_admitted: int = 0
    stalled: int = 0


@dataclass(slots=True, eq=False)
class Shell:
    """State shared by all connections of a server."""

    relay: Relay
    identity: RelayKeys
    host: http.Host
    admission: RelayAdmission
    clock: Clock
    limits: Limits
    lobby: Lobby[Connection]
    refusals: Refusals = field(default_factory=Refusals)
    connections: set[Connection] = field(default_factory=set)
    stalled: dict[Connection, tuple[int, float]] = field(default_factory=dict)
    scratch: memoryview = field(default_factory=lambda: memoryview(bytearray(frames.SCRATCH_SIZE)))
    telemetry: Telemetry = field(default_factory=Telemetry)
    stopping: bool = False
    emptied: asyncio.Event = field(default_factory=asyncio.Event)
    background: Background = field(init=False)
    """Handshakes and logins under way."""

    def __post_init__(self) -> None:
        self.background = Background(self.telemetry)


class Connection(asyncio.BufferedProtocol):
    """One socket, from accept to close; the `Outlet` of its client."""

    __slots__ = ("_head", "_login", "_messages", "_session", "_shell", "_transport", "address", "handshake", "writable")

    def __init__(self, shell: Shell, address: tuple[str, int]) -> None:
        self._shell = shell
        self.address = address
        self.writable = False
        self.handshake: asyncio.Task[None] | None = None
        """Runs until `connection_made`: socket options and TLS."""
        self._transport: asyncio.Transport | None = None
        self._head = bytearray()
        self._session: RelaySession | None = None
        self._messages: MessageStream | None = None
        self._login: asyncio.Task[None] | None = None
        """Runs while the client waits for admission."""

    # Outlet.

    def write(self, data: bytes) -> None:
        """Send whole frames. Does nothing once the connection is closed."""
        if self._transport is not None:
            self._transport.write(data if self._messages is None else binary_message(data))

    def close(self, reason: str) -> None:
        """Close the connection at once; `reason` is logged."""
        log.debug("connection closed", source=self.address[0], reason=reason)
        self.writable = False
        if self._transport is not None:
            self._transport.abort()
        elif self.handshake is not None:
            self.handshake.cancel()

    def finish(self) -> None:
        """Close the connection after its send buffer is written."""
        if self._transport is not None:
            self._transport.close()
        else:
            self.close("the relay stops")

    # Called by the server.

    @property
    def is_mesh(self) -> bool:
        """Return whether the peer is another relay of the region."""
        return self._session is not None and self._session.client is not None and self._session.client.mesh

    def progress(self) -> int:
        """Return a number that changes when the peer reads: the acknowledged bytes where the system reports them."""
        assert self._transport is not None
        raw = self._transport.get_extra_info("socket")
        try:
            return int(_TCP_INFO_BYTES_ACKED.unpack(raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 128))[0])
        except (AttributeError, OSError, struct.error):
            return self._transport.get_write_buffer_size()

    # asyncio protocol.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accept the ready socket; with TLS, its handshake is complete."""
        # uvloop's TLS transport does not subclass asyncio's, though it has all of its methods.
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=HIGH_WATER, low=LOW_WATER)
        self.writable = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove a closed connection from the server."""
        self.writable = False
        self._transport = None
        if self._login is not None:
            self._login.cancel()
        self.gone()
        if self._session is not None:
            self._session.end()

    def gone(self) -> None:
        """Remove the connection from all state of the server."""
        self._shell.connections.discard(self)
        self._shell.lobby.leave(self)
        self._shell.stalled.pop(self, None)
        if not self._shell.connections:
            self._shell.emptied.set()

    def pause_writing(self) -> None:
        """Queue frames from now on: the send buffer is full."""
        self.writable = False
        self._shell.stalled[self] = (self.progress(), self._shell.clock.monotonic())

    def resume_writing(self) -> None:
        """Send the queued frames: the send buffer has room again."""
        self._shell.stalled.pop(self, None)
        if self._transport is None:
            return
        self.writable = True
        if self._session is not None and self._session.client is not None:
            self._session.client.flush()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer for the next read."""
        session = self._session
        if session is None or self._messages is not None:
            return self._shell.scratch[:LOGIN_READ]
        space = session.reader.space()
        return space if session.stage is Stage.OPEN else space[:LOGIN_READ]

    def buffer_updated(self, nbytes: int) -> None:
        """Process `nbytes` bytes read into the buffer."""
        session = self._session
        try:
            if session is None:
                self._read_head(bytes(self._shell.scratch[:nbytes]))
            elif self._messages is not None:
                self._read_messages(session, self._messages, bytes(self._shell.scratch[:nbytes]))
            else:
                session.reader.filled(nbytes)
                if session.client is not None:
                    session.relay(self._shell.clock.monotonic())
                else:
                    self._process(session)
        except (frames.FrameError, LoginError, ProtocolError) as error:
            self._shell.refusals.protocol += 1
            self.close(str(error))

    def data_received(self, data: bytes) -> None:
        """Process bytes from a transport that does not read into our buffer."""
        while data and self._transport is not None and not self._transport.is_closing():
            buffer = self.get_buffer(len(data))
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            self.buffer_updated(size)
            data = data[size:]

    def eof_received(self) -> bool:
        """Close the connection: half-open connections are not supported."""
        return False

    def _read_head(self, data: bytes) -> None:
        self._head += data
        while self._session is None and self._head:
            end = self._head.find(http.END_OF_HEAD)
            if not 0x41 <= self._head[0] <= 0x5A:
                self._answer(http.refuse(400, "not an HTTP request"))
            elif end < 0 and len(self._head) <= http.MAX_HEAD:
                return
            elif end < 0 or end > http.MAX_HEAD:
                self._answer(http.refuse(431, "request head is too long"))
            else:
                end += len(http.END_OF_HEAD)
                head, rest = bytes(self._head[:end]), bytes(self._head[end:])
                self._head = bytearray(rest)
                self._request(head)

    def _request(self, head: bytes) -> None:
        try:
            answer = http.respond(http.parse_head(head), self._shell.host, healthy=not self._shell.stopping)
        except http.BadRequestError as error:
            answer = http.refuse(400, str(error))
        if isinstance(answer, http.HttpAnswer):
            self._answer(answer)
        else:
            self._upgrade(answer)

    def _answer(self, answer: http.HttpAnswer) -> None:
        assert self._transport is not None
        self._transport.write(answer.data)
        if answer.status in (400, 431):
            self._shell.refusals.protocol += 1
        if not answer.keep_alive or not self.writable:
            # It stays in the lobby, so a peer that does not read its response is closed when its time is up.
            self._head.clear()
            self._transport.pause_reading()
            self._transport.close()

    def _upgrade(self, upgrade: http.Upgrade) -> None:
        assert self._transport is not None
        log.debug(
            "connection upgraded",
            source=self.address[0],
            fast_start=not upgrade.data,
            websocket=upgrade.websocket,
        )
        self._transport.write(upgrade.data)
        if upgrade.websocket:
            self._messages = MessageStream()
        shell = self._shell
        self._session = RelaySession(
            shell.relay,
            shell.identity,
            self,
            self.address,
            nonce=os.urandom,
            not_ideal=upgrade.not_ideal,
            scratch=shell.scratch,
        )
        self._session.start()
        rest, self._head = bytes(self._head), bytearray()
        if self._messages is not None:
            self._read_messages(self._session, self._messages, rest)
        else:
            self._session.reader.receive(rest)
            self._process(self._session)

    def _read_messages(self, session: RelaySession, messages: MessageStream, data: bytes) -> None:
        try:
            content = messages.receive(data)
        except WebSocketError as error:
            if self._transport is not None and error.reply:
                self._transport.write(error.reply)
                self._transport.close()
                self._shell.lobby.enter(self, self._shell.clock.monotonic())
                return
            raise ProtocolError(str(error)) from error
        if messages.pongs and self.writable and self._transport is not None:
            self._transport.write(messages.pongs)
        session.reader.receive(content)
        self._process(session)

    def _process(self, session: RelaySession) -> None:
        request = session.process(self._shell.clock.monotonic())
        if request is None:
            return
        if request.mesh:
            self._admit(session)
            return
        assert self._transport is not None
        self._transport.pause_reading()
        self._login = self._shell.background.run(self._log_in(session, request), "relay login")

    async def _log_in(self, session: RelaySession, request: LoginRequest) -> None:
        allowed = await self._shell.admission.allowed(request.key, self.address[0])
        self._login = None
        if self._transport is None:
            return
        if not allowed:
            self._shell.refusals.not_admitted += 1
            log.info("relay client refused", node_key=str(request.key), source=self.address[0])
            self.close("not admitted")
            return
        try:
            self._admit(session)
        except (frames.FrameError, LoginError, ProtocolError) as error:
            self._shell.refusals.protocol += 1
            self.close(str(error))
        else:
            self._transport.resume_reading()

    def _admit(self, session: RelaySession) -> None:
        self._shell.lobby.leave(self)
        session.admit(self._shell.clock.monotonic())
