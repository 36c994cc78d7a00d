"""One Noise + HTTP/2 connection as an asyncio protocol. Feeds bytes, hands requests on, seals what there is to send.

Per client there is no task, no queue and no timer of the loop. Data is sealed only when the socket takes it: what a
slow client has not read waits as references to shared frames, not as ciphertext of its own.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from gateway.edge.answer import Answer
from gateway.edge.gate import Visit
from gateway.edge.http2 import Connection, ErrorCode, Event, Limits, ProtocolError
from gateway.edge.http2.events import GoingAway, Pong, RequestReceived, RequestRefused, StreamReset
from gateway.edge.http2.frames import HEADER_SIZE
from gateway.edge.settings import EdgeCounts, EdgeSettings
from gateway.edge.wheel import Timer, TimerWheel
from gateway.exchange import Buffer, Handler, TunnelRequest
from gateway.noise import MAX_PLAINTEXT, NoiseError, Session
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

SEAL_AT_ONCE = 64 << 10


class Wire(Protocol):
    """What a tunnel needs of its transport: a socket's, or a WebSocket's."""

    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...
    def is_closing(self) -> bool: ...


class Surroundings(Protocol):
    """What all tunnels share."""

    handler: Handler
    settings: EdgeSettings
    counts: EdgeCounts
    limits: Limits

    @property
    def wheel(self) -> TimerWheel: ...

    def forget(self, tunnel: Tunnel) -> None:
        """The tunnel is gone."""
        ...


class Tunnel(asyncio.Protocol):
    """Begins when the handshake is answered; ends with its connection."""

    __slots__ = (
        "_answers",
        "_closing",
        "_heard",
        "_idle_for",
        "_pinged",
        "_shared",
        "_stalled",
        "_timer",
        "_visit",
        "_waiting",
        "_wire",
        "connection_id",
        "http",
        "proved",
        "session",
        "write_paused",
    )

    def __init__(self, shared: Surroundings, wire: Wire, visit: Visit, session: Session, connection_id: int) -> None:
        self._shared = shared
        self._wire = wire
        self._visit = visit
        self.session = session
        self.connection_id = connection_id
        self.http = Connection(shared.limits)
        self._answers: dict[int, Answer] = {}
        self._waiting: dict[Answer, None] | None = None
        self.write_paused = False
        self.proved = False
        """Whether a record has decrypted: until then the initiation may be a replay, and nobody is there."""
        self._closing = self._heard = self._pinged = self._stalled = False
        self._idle_for = 0.0
        self._timer: Timer = shared.wheel.after(shared.settings.head_deadline, self._prove_deadline)
        visit.drop = self._dropped

    def begin(self, greeting: bytes, early: bytes) -> None:
        """Send the first bytes as one write: the answer to the handshake, the early payload, our SETTINGS."""
        sealer = self.session.sealer
        first = sealer.seal(early) + sealer.seal(self.http.take()) if early else sealer.seal(self.http.take())
        self._wire.write(greeting + first)

    # The connection

    def data_received(self, data: bytes) -> None:
        """Bytes came: open, parse, hand on, answer."""
        self._heard = True
        if self._closing and self._wire.is_closing():
            return
        try:
            plain = self.session.reader.receive(data)
            if plain and not self.proved:
                self._become_proved()
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
        """The socket is full."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """The socket takes more."""
        self.write_paused = self._stalled = False
        self.flush()
        self._resume_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: so are all answers."""
        self._timer.cancel()
        self._visit.left()
        self._closing = True
        self._lose_answers()
        self._shared.forget(self)

    # What answers need

    def flush(self) -> None:
        """Seal and write what the windows and the socket take."""
        while not self.write_paused and (buffers := self.http.take(SEAL_AT_ONCE)):
            try:
                sealed = self.session.sealer.seal(buffers)
            except NoiseError as error:
                self._fail("noise", str(error))
                return
            self._wire.write(sealed)
        if self._closing and not self.http.streams and not self._wire.is_closing():
            self._hang_up()

    def send_straight(self, stream_id: int, message: Buffer) -> bool:
        """Send a message that fits one record past all queues; False when something waits before it."""
        size = len(message)
        if self.write_paused or size > MAX_PLAINTEXT - HEADER_SIZE:
            return False
        head = self.http.straight(stream_id, size)
        if head is None:
            return False
        try:
            self._wire.write(self.session.sealer.seal(head + message))
        except NoiseError as error:
            self._fail("noise", str(error))
        return True

    def wait(self, answer: Answer) -> None:
        """Tell an answer when it can send again."""
        if self._waiting is None:
            self._waiting = {}
        self._waiting[answer] = None

    def forget(self, stream_id: int) -> None:
        """The answer is complete."""
        self._answers.pop(stream_id, None)

    # The graceful end

    def go_away(self) -> None:
        """Take no more requests; close when the last stream has ended."""
        self._closing = True
        self.http.go_away()
        self.flush()

    def end_streams(self) -> None:
        """End what is still open, so that the clients go elsewhere, and close."""
        for stream_id, answer in list(self._answers.items()):
            if answer.streaming:
                self.http.end(stream_id)
            else:
                self.http.reset(stream_id)
        self._closing = True
        self._lose_answers()
        self.flush()

    def abort(self) -> None:
        """Cut the connection."""
        self._wire.abort()

    # Requests

    def _handle_all(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case RequestReceived():
                    self._handle(event)
                case StreamReset(stream_id):
                    answer = self._answers.pop(stream_id, None)
                    if answer is not None:
                        answer.lost()
                case RequestRefused(stream_id, status):
                    self._shared.counts.requests_refused += 1
                    text = b"request body too large" if status == 413 else b"request header too large"
                    Answer(self, stream_id, head_only=False).respond(status, text, "text/plain")
                case Pong():
                    self._pinged = False
                case GoingAway():
                    self._closing = True

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
            remote_address=self._visit.client,
            connection_id=self.connection_id,
        )
        answer = self._answers[event.stream_id] = Answer(self, event.stream_id, event.method == "HEAD")
        try:
            self._shared.handler.handle(request, answer)
        except Exception:
            log.exception("request failed", path=path)
            if answer.streaming:
                self.http.reset(event.stream_id, ErrorCode.INTERNAL_ERROR)
                self.forget(event.stream_id)
                answer.lost()
            else:
                answer.respond(500, b"internal error", "text/plain")

    # Looking after

    def _become_proved(self) -> None:
        self.proved = True
        self._visit.proved()
        self._timer.cancel()
        self._timer = self._shared.wheel.after(self._shared.settings.check_interval, self._look)

    def _prove_deadline(self) -> None:
        self._fail("noise", "no record before the deadline")

    def _look(self) -> None:
        """Once in a while: drop a peer that is silent or reads nothing, close a tunnel that nobody uses."""
        settings = self._shared.settings
        if (self._pinged and not self._heard) or self._stalled:
            self._shared.counts.peers_lost += 1
            log.info("tunnel lost", connection=self.connection_id, address=self._visit.client)
            self._wire.abort()
            return
        self._stalled = self.write_paused
        self._handle_all(self.http.sweep())
        self._idle_for = 0.0 if self.http.streams else self._idle_for + settings.check_interval
        self._pinged = False
        if self._idle_for >= settings.idle_timeout:
            self.go_away()
            return
        if not self._heard and self.http.streams:
            self._pinged = True
            self.http.ping()
        self._heard = False
        self.flush()
        if not self._wire.is_closing():
            self._timer = self._shared.wheel.after(settings.check_interval, self._look)

    def _dropped(self) -> None:
        self._fail("noise", "too many half-open connections")

    def _resume_waiting(self) -> None:
        if self._waiting and not self.write_paused:
            free = [answer for answer in self._waiting if not answer.blocked]
            for answer in free:
                self._waiting.pop(answer, None)
            for answer in free:
                answer.resumed()

    def _lose_answers(self) -> None:
        answers, self._answers = self._answers, {}
        self._waiting = None
        for answer in answers.values():
            answer.lost()

    def _fail(self, layer: str, reason: str) -> None:
        """End the connection because of what its peer did; a GOAWAY that waits still goes out."""
        self._shared.counts.tunnels_failed += 1
        log.info("tunnel failed", layer=layer, reason=reason, connection=self.connection_id, address=self._visit.client)
        self._closing = True
        self._lose_answers()
        if layer == "http2":
            self.flush()
        if not self._wire.is_closing():
            self._hang_up()

    def _hang_up(self) -> None:
        """Close after what was written; a peer that does not read it is cut off at the deadline."""
        self._timer.cancel()
        self._wire.close()
        self._timer = self._shared.wheel.after(self._shared.settings.head_deadline, self._wire.abort)
