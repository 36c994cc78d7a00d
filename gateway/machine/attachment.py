"""The attachment to a map streamer: one stream up and down. Owns its life and its wire; knows no client.

When the stream is lost the next address is tried, with a growing pause once all of them were; then every session is
opened anew with the position it holds, and its client notices nothing. What is said while nobody listens is not kept:
the sessions themselves are the memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from opentelemetry import trace
from smartscale.common.v1 import common_pb2
from smartscale.map_streamer.v1 import map_streamer_pb2 as pb

from gateway.clients.failure import ServiceError
from gateway.machine.keepalive import length_prefix
from gateway.machine.map_sessions import MapSessions, Part, Reason
from gateway.machine.metrics import MachineMetrics
from gateway.machine.refusal import NOBODY_HOME, OVERLOADED, WRONG_MACHINE
from gateway.machine.session import Held, MapSession
from services.shared.telemetry.logs import get_logger
from services.shared.telemetry.propagation import context_of

log = get_logger(__name__)

BACKLOG = 1 << 18
"""Messages up that may wait; a map streamer that reads slower than this is given up."""
SLICE = 256
"""Recipients of one delta between two looks at other work."""
FIRST_PAUSE, LAST_PAUSE = 0.05, 5.0

_REFUSALS = {
    pb.REFUSAL_REASON_UNKNOWN_NODE: (NOBODY_HOME, False),
    pb.REFUSAL_REASON_WRONG_MACHINE: (WRONG_MACHINE, False),
    pb.REFUSAL_REASON_OVERLOADED: (OVERLOADED, True),
}
_REASONS: dict[int, Reason] = {
    pb.END_REASON_NODE_REMOVED: "removed",
    pb.END_REASON_KEY_ROTATED: "rotated",
    pb.END_REASON_SUPERSEDED: "superseded",
    pb.END_REASON_DONE: "done",
}


class MapStreamer(Protocol):
    """Somebody to attach to."""

    @property
    def address(self) -> str:
        """Where it is, for the log."""
        ...

    def attach(self, requests: AsyncIterator[pb.AttachRequest]) -> AsyncIterator[pb.AttachResponse]:
        """Open the stream."""
        ...


class _Stream:
    """What is said up one stream, in order."""

    __slots__ = ("_queue", "lost")

    def __init__(self) -> None:
        self._queue: asyncio.Queue[pb.AttachRequest] = asyncio.Queue(BACKLOG)
        self.lost = asyncio.Event()

    def say(self, request: pb.AttachRequest) -> None:
        try:
            self._queue.put_nowait(request)
        except asyncio.QueueFull:
            self.lost.set()

    # Not a generator: gRPC drops its request iterator in the middle of a wait, and the loop would then try to close it.
    def __aiter__(self) -> _Stream:
        return self

    async def __anext__(self) -> pb.AttachRequest:
        return await self._queue.get()


class Attachment:
    """Keeps this gateway attached to one of the map streamers; the sessions' way up."""

    def __init__(
        self,
        gateway_id: str,
        streamers: Sequence[MapStreamer],
        sessions: MapSessions,
        metrics: MachineMetrics,
        tracer: trace.Tracer | None = None,
    ) -> None:
        self._tracer = tracer or trace.NoOpTracer()
        self._gateway_id = gateway_id
        self._streamers = streamers
        self._sessions = sessions
        self._metrics = metrics
        self._stream: _Stream | None = None
        self._served = False
        self._task: asyncio.Task[None] | None = None
        sessions.use(self)

    @property
    def attached(self) -> bool:
        """Whether a map streamer listens."""
        return self._stream is not None

    def start(self) -> None:
        """Begin to attach."""
        self._task = asyncio.create_task(self._run(), name="attachment")

    async def stop(self) -> None:
        """Let go of the map streamer."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def opened(self, session: MapSession) -> None:
        """A session begins, or comes over with what it holds."""
        opened = pb.SessionOpened(
            session_id=session.route,
            machine_key=session.ask.machine_key.raw,
            node_key=session.ask.node_key.raw,
            cap_version=session.ask.cap_version,
            zstd=session.ask.zstd,
            once=session.ask.once,
            whole=session.missed,
        )
        if session.held is not None:
            held = session.held
            opened.held.CopyFrom(common_pb2.Cursor(registry=held.registry, policy=held.policy, time=held.time))
        self._say(pb.AttachRequest(opened=opened))

    def closed(self, route: int) -> None:
        """A session ended."""
        self._say(pb.AttachRequest(closed=pb.SessionClosed(session_id=route)))

    def paused(self, route: int) -> None:
        """Its client reads slowly."""
        self._say(pb.AttachRequest(paused=pb.SessionPaused(session_id=route)))

    def dropped(self, frame_ids: Sequence[int]) -> None:
        """Frames were forgotten."""
        self._say(pb.AttachRequest(dropped=pb.FramesDropped(frame_ids=frame_ids)))

    def _say(self, request: pb.AttachRequest) -> None:
        if self._stream is not None:
            self._stream.say(request)

    async def _run(self) -> None:
        pause = FIRST_PAUSE
        # Gateways spread over the map streamers instead of all choosing the first.
        turn = random.randrange(len(self._streamers))
        while True:
            streamer = self._streamers[turn % len(self._streamers)]
            self._served = False
            await self._serve(streamer)
            turn += 1
            if self._served:
                pause = FIRST_PAUSE
            if len(self._streamers) == 1 or (not self._served and turn % len(self._streamers) == 0):
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))
                pause = min(pause * 2, LAST_PAUSE)

    async def _serve(self, streamer: MapStreamer) -> None:
        """Be attached to this one until it is lost."""
        stream = self._stream = _Stream()
        stream.say(pb.AttachRequest(hello=pb.Hello(gateway_id=self._gateway_id)))
        self._sessions.attach()
        responses = streamer.attach(aiter(stream))
        reading = asyncio.create_task(self._read(responses))
        overflow = asyncio.create_task(stream.lost.wait())
        try:
            await asyncio.wait((reading, overflow), return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
            log.warning("map streamer lost", address=streamer.address, reason="ended" if reading.done() else "overflow")
        except ServiceError as error:
            log.warning("map streamer lost", address=streamer.address, reason=str(error))
        except Exception:
            log.exception("map streamer given up", address=streamer.address)
        finally:
            self._stream = None
            self._metrics.attached.set(0)
            overflow.cancel()
            reading.cancel()
            await asyncio.gather(reading, overflow, return_exceptions=True)

    async def _read(self, responses: AsyncIterator[pb.AttachResponse]) -> None:
        async for response in responses:
            if not self._served:
                self._served = True
                self._metrics.attached.set(1)
                log.info("map streamer attached")
            await self._take(response)

    async def _take(self, response: pb.AttachResponse) -> None:
        sessions = self._sessions
        match response.WhichOneof("message"):
            case "delta":
                delta = response.delta
                if not delta.traceparent:
                    await self._spread(delta)
                    return
                # The end of the trace that began with some client's request: what it made us send.
                with self._tracer.start_as_current_span("map delta sent", context_of(delta.traceparent)) as span:
                    span.set_attribute("sessions", len(delta.session_ids))
                    await self._spread(delta)
            case "frame":
                sessions.frame(response.frame.frame_id, response.frame.data)
            case "full":
                full = response.full
                sessions.full(full.session_id, _parts(full.parts), _held(full.cursor))
            case "accepted":
                sessions.accepted(response.accepted.session_id, response.accepted.node_id)
            case "refused":
                refusal, again = _REFUSALS.get(response.refused.reason, (NOBODY_HOME, False))
                sessions.refused(response.refused.session_id, refusal, again=again)
            case "ended":
                sessions.ended(response.ended.session_id, _REASONS.get(response.ended.reason, "done"))
            case "retired":
                sessions.retired(response.retired.frame_ids)
            case _:
                log.warning("map streamer said something new", message="unknown")

    async def _spread(self, delta: pb.Delta) -> None:
        began = time.perf_counter()
        message, cursor, routes = length_prefix(len(delta.data)) + delta.data, _held(delta.cursor), delta.session_ids
        for start in range(0, len(routes), SLICE):
            if start:
                await asyncio.sleep(0)
            self._sessions.delta(routes[start : start + SLICE], message, cursor)
        self._metrics.spread.observe(time.perf_counter() - began)


def _held(cursor: common_pb2.Cursor) -> Held:
    return Held(registry=cursor.registry, policy=cursor.policy, time=cursor.time)


def _parts(parts: Sequence[pb.Part]) -> list[Part]:
    return [part.data if part.WhichOneof("part") == "data" else part.frame_id for part in parts]
