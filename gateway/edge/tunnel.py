"""One Noise + HTTP/2 connection as an asyncio protocol: opens records, hands requests to the handler, seals answers.

Has no task, no queue and no event-loop timer of its own. Data is sealed only when the socket takes it: what a slow
client has not read waits as references to shared frames, not as ciphertext of its own. Knows no path.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from gateway.edge.http2 import Connection, ErrorCode, Event, Limits, ProtocolError
from gateway.edge.http2.events import GoingAway, Pong, RequestReceived, RequestRefused, StreamReset
from gateway.edge.http2.frames import HEADER_SIZE
from gateway.edge.limiter import ConnectionSlot
from gateway.edge.outage_guard import OutageGuard
from gateway.edge.peer_watch import AwakeMachines, PeerWatch
from gateway.edge.response import ResponseStream
from gateway.edge.settings import EdgeCounts, EdgeSettings
from gateway.edge.tcp_signs import TcpSocket
from gateway.edge.tunnel_phase import Phase, Step, advance
from gateway.edge.wheel import Timer, TimerWheel
from gateway.exchange import Buffer, Handler, TunnelRequest
from gateway.noise import MAX_PLAINTEXT, NoiseError, NoiseSession
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

SEAL_AT_ONCE = 64 << 10
"""Bytes of data sealed in one step, so that the socket can report that it is full."""


class TunnelTransport(Protocol):
    """The part of a transport that a tunnel uses: a socket's, or a WebSocket's."""

    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...
    def is_closing(self) -> bool: ...
    def get_extra_info(self, name: str) -> object: ...


class TunnelContext(Protocol):
    """Parts and limits that all tunnels of a process share."""

    handler: Handler
    settings: EdgeSettings
    counts: EdgeCounts
    limits: Limits
    guard: OutageGuard
    awake: AwakeMachines

    @property
    def wheel(self) -> TimerWheel: ...
    @property
    def tunnel_count(self) -> int: ...

    def admit(self, tunnel: Tunnel) -> bool:
        """Charge an authenticated tunnel to its machine. Returns False if that machine opens too many."""
        ...

    def forget(self, tunnel: Tunnel) -> None:
        """Remove a tunnel whose connection has ended."""
        ...


class Tunnel(asyncio.Protocol):
    """One tunnel, from the answered handshake to the end of its connection."""

    __slots__ = (
        "_idle_for",
        "_phase",
        "_responses",
        "_shared",
        "_slot",
        "_stalled",
        "_timer",
        "_transport",
        "_waiting",
        "_watch",
        "connection_id",
        "http",
        "peer_lost",
        "session",
        "write_paused",
    )

    def __init__(
        self,
        shared: TunnelContext,
        transport: TunnelTransport,
        slot: ConnectionSlot,
        session: NoiseSession,
        connection_id: int,
    ) -> None:
        self._shared = shared
        self._transport = transport
        self._slot = slot
        self.session = session
        self.connection_id = connection_id
        self.http = Connection(shared.limits)
        self._responses: dict[int, ResponseStream] = {}
        self._waiting: dict[ResponseStream, None] | None = None
        self._phase = Phase.HALF_OPEN
        self.write_paused = False
        self.peer_lost = False
        """Whether the connection was cut because the peer no longer answered."""
        self._stalled = False
        """Whether the socket was full at the last check."""
        self._idle_for = 0.0
        self._watch: PeerWatch | None = None
        """None until a record has decrypted."""
        self._timer: Timer = shared.wheel.after(shared.settings.head_deadline, self._authentication_timed_out)
        slot.drop = self._dropped

    def begin(self, preamble: bytes, early: bytes) -> None:
        """Send the first bytes as one write: the answer to the handshake, the early payload, our SETTINGS."""
        sealer = self.session.sealer
        first = sealer.seal(early) + sealer.seal(self.http.take()) if early else sealer.seal(self.http.take())
        self._transport.write(preamble + first)

    # The connection

    def data_received(self, data: bytes) -> None:
        """Process received bytes: open records, parse frames, hand requests on, send answers."""
        if self._phase is not Phase.OPEN and self._phase is not Phase.HALF_OPEN and self._transport.is_closing():
            return
        watch = self._watch
        if watch is not None:
            watch.received_at = self._shared.wheel.now()
        try:
            plain = self.session.reader.receive(data)
            if plain and watch is None and not self._authenticate():
                return
            events = self.http.receive(plain)
        except NoiseError as error:
            self._fail("noise", str(error))
            return
        except ProtocolError as error:
            self._fail("http2", str(error))
            return
        self._handle_all(events)
        self.flush()
        self._resume_waiting()

    def pause_writing(self) -> None:
        """Stop writing: the send buffer of the socket is full."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """Continue writing: the send buffer of the socket has room."""
        self.write_paused = self._stalled = False
        self.flush()
        self._resume_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """End all answers: the connection has ended. A time-out is the kernel's, whose probes were not answered."""
        if isinstance(exc, TimeoutError):
            self._note_loss()
        self._stop_timers()
        self._slot.release()
        self._phase = advance(self._phase, Step.LOSE)
        self._lose_responses()
        self._shared.forget(self)

    # Used by responses

    def flush(self) -> None:
        """Seal and write as much as the windows and the socket take."""
        while not self.write_paused and (buffers := self.http.take(SEAL_AT_ONCE)):
            try:
                sealed = self.session.sealer.seal(buffers)
            except NoiseError as error:
                self._fail("noise", str(error))
                return
            self._transport.write(sealed)
        if self._phase is not Phase.OPEN and self._is_drained():
            self._close_transport()

    def send_direct(self, stream_id: int, message: Buffer) -> bool:
        """Send a message of at most one record past all queues. Returns False if it must be queued instead."""
        size = len(message)
        if self.write_paused or size > MAX_PLAINTEXT - HEADER_SIZE:
            return False
        head = self.http.reserve_direct(stream_id, size)
        if head is None:
            return False
        try:
            self._transport.write(self.session.sealer.seal(head + message))
        except NoiseError as error:
            self._fail("noise", str(error))
        return True

    def wait(self, response: ResponseStream) -> None:
        """Call `response.resumed` when it can send again."""
        if self._waiting is None:
            self._waiting = {}
        self._waiting[response] = None

    def forget(self, stream_id: int) -> None:
        """Drop a complete response."""
        self._responses.pop(stream_id, None)

    def probe(self, timeout: float) -> None:
        """Cut the connection as lost unless the client's process answers within `timeout` seconds."""
        if self._watch is not None and self._phase is Phase.OPEN:
            self._watch.probe(timeout)

    def note_awake(self) -> None:
        """Probe the client while it is idle, too: its system does not sleep."""
        if self._watch is not None and self._phase is Phase.OPEN:
            self._watch.note_awake()

    # The graceful end

    def go_away(self) -> None:
        """Refuse further requests, and close when the last stream has ended."""
        self._phase = advance(self._phase, Step.DRAIN)
        self.http.go_away()
        self.flush()

    def end_streams(self) -> None:
        """End all open streams, so that their clients connect elsewhere, then close."""
        for stream_id, response in list(self._responses.items()):
            if response.streaming:
                self.http.end(stream_id)
            else:
                self.http.reset(stream_id)
        self._phase = advance(self._phase, Step.DRAIN)
        self._lose_responses()
        self.flush()

    def abort(self) -> None:
        """Cut the connection."""
        self._transport.abort()

    # Used by the peer watch

    @property
    def has_streams(self) -> bool:
        """Return whether a request is being answered."""
        return self.http.streams > 0

    @property
    def records_sent(self) -> int:
        """Number of records sent so far."""
        return self.session.sealer.records

    @property
    def has_unsent(self) -> bool:
        """Return whether bytes wait for the peer."""
        return self.write_paused

    def send_ping(self) -> None:
        """Send an HTTP/2 PING."""
        self.http.ping()
        self.flush()

    def check_use(self) -> bool:
        """End a tunnel that does not read or that is unused. Returns whether it stays open."""
        if self._stalled:
            self.end_as_lost()
            return False
        settings = self._shared.settings
        self._stalled = self.write_paused
        self._handle_all(self.http.sweep())
        self._idle_for = 0.0 if self.http.streams else self._idle_for + settings.check_interval
        if self._idle_for >= settings.idle_timeout:
            self.go_away()
            return False
        self.flush()
        return not self._transport.is_closing()

    def end_as_lost(self) -> None:
        """Cut the connection: the peer does not answer, or does not read."""
        self._note_loss()
        self._transport.abort()

    def _note_loss(self) -> None:
        self.peer_lost = True
        self._shared.counts.peers_lost += 1
        log.info("tunnel lost", connection=self.connection_id, address=self._slot.client)

    # Requests

    def _handle_all(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case RequestReceived():
                    self._handle(event)
                case StreamReset(stream_id):
                    response = self._responses.pop(stream_id, None)
                    if response is not None:
                        response.lost()
                case RequestRefused(stream_id, status):
                    self._shared.counts.requests_refused += 1
                    text = b"request body too large" if status == 413 else b"request header too large"
                    ResponseStream(self, stream_id, head_only=False).respond(status, text, "text/plain")
                case Pong():
                    if self._watch is not None:
                        self._watch.answered()
                case GoingAway():
                    self._phase = advance(self._phase, Step.DRAIN)

    def _handle(self, event: RequestReceived) -> None:
        self._shared.counts.requests += 1
        path, _, query = event.target.partition("?")
        request = TunnelRequest(
            machine_key=self.session.machine_key,
            capability_version=self.session.version,
            method=event.method,
            path=path,
            query=query,
            headers=event.headers,
            body=event.body,
            remote_address=self._slot.client,
            connection_id=self.connection_id,
        )
        response = ResponseStream(self, event.stream_id, event.method == "HEAD")
        self._responses[event.stream_id] = response
        try:
            self._shared.handler.handle(request, response)
        except Exception:
            log.exception("request failed", path=path)
            if response.streaming:
                self.http.reset(event.stream_id, ErrorCode.INTERNAL_ERROR)
                self.forget(event.stream_id)
                response.lost()
            else:
                response.respond(500, b"internal error", "text/plain")

    # Beginning and end

    def _authenticate(self) -> bool:
        """Charge the tunnel to its machine, as its first record has decrypted. Returns False if that has too many."""
        self._phase = advance(self._phase, Step.AUTHENTICATE)
        self._slot.mark_authenticated()
        self._timer.cancel()
        sock = cast("TcpSocket | None", self._transport.get_extra_info("socket"))
        self._watch = PeerWatch(self, self._shared, sock, self.session.machine_key)
        if self._shared.admit(self):
            return True
        self.http.go_away(ErrorCode.ENHANCE_YOUR_CALM)
        self._fail("http2", "too many connections of this machine")
        return False

    def _authentication_timed_out(self) -> None:
        self._fail("noise", "no record before the deadline")

    def _dropped(self) -> None:
        self._fail("noise", "too many half-open connections")

    def _resume_waiting(self) -> None:
        if self._waiting and not self.write_paused:
            free = [response for response in self._waiting if not response.blocked]
            for response in free:
                self._waiting.pop(response, None)
            for response in free:
                response.resumed()

    def _lose_responses(self) -> None:
        responses, self._responses = self._responses, {}
        self._waiting = None
        for response in responses.values():
            response.lost()

    def _fail(self, layer: str, reason: str) -> None:
        """End the connection because of an error of its peer; a GOAWAY that waits is still sent."""
        self._shared.counts.tunnels_failed += 1
        log.info("tunnel failed", layer=layer, reason=reason, connection=self.connection_id, address=self._slot.client)
        self._phase = advance(self._phase, Step.DRAIN)
        self._lose_responses()
        if layer == "http2":
            self.flush()
        if not self._transport.is_closing():
            self._close_transport()

    def _is_drained(self) -> bool:
        return self._phase is Phase.DRAINING and not self.http.streams and not self._transport.is_closing()

    def _close_transport(self) -> None:
        """Close after the bytes already written; a peer that does not read them is cut off at the deadline."""
        self._phase = advance(self._phase, Step.CLOSE)
        self._stop_timers()
        self._transport.close()
        self._timer = self._shared.wheel.after(self._shared.settings.head_deadline, self._transport.abort)

    def _stop_timers(self) -> None:
        self._timer.cancel()
        if self._watch is not None:
            self._watch.stop()
