"""The attachment to a map streamer: one bidirectional stream. Owns its lifecycle and its messages; knows no client.

When the stream breaks the next address is tried, with a growing pause after all were tried; then every session is
opened again with its cursor, and its client notices nothing. Messages sent while no map streamer is attached are
discarded, because the sessions hold everything that is needed.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from smartscale.common.v1 import common_pb2
from smartscale.map_streamer.v1 import map_streamer_pb2 as pb

from gateway.clients.failure import ServiceError
from gateway.machine.map_framing import length_prefix
from gateway.machine.map_sessions import MapSessions
from gateway.machine.metrics import MachineMetrics
from gateway.machine.refusal import OVERLOADED, UNKNOWN_NODE, WRONG_MACHINE, Refusal
from gateway.machine.session import Cursor, MapSession
from gateway.machine.session_interfaces import Part, Reason
from services.shared.background import Background
from services.shared.telemetry.logs import get_logger
from services.shared.telemetry.propagation import context_of
from services.shared.telemetry.setup import Telemetry

log = get_logger(__name__)

BACKLOG = 1 << 18
"""Messages to a map streamer that may wait; one that falls further behind is abandoned."""
SLICE = 256
"""Recipients of one delta before other work of the event loop gets a turn."""
FIRST_PAUSE, LAST_PAUSE = 0.05, 5.0

REFUSALS: Mapping[int, tuple[Refusal, bool]] = {
    pb.REFUSAL_REASON_UNSPECIFIED: (UNKNOWN_NODE, False),
    pb.REFUSAL_REASON_UNKNOWN_NODE: (UNKNOWN_NODE, False),
    pb.REFUSAL_REASON_WRONG_MACHINE: (WRONG_MACHINE, False),
    pb.REFUSAL_REASON_OVERLOADED: (OVERLOADED, True),
}
REASONS: Mapping[int, Reason] = {
    pb.END_REASON_UNSPECIFIED: "done",
    pb.END_REASON_NODE_REMOVED: "removed",
    pb.END_REASON_KEY_ROTATED: "rotated",
    pb.END_REASON_SUPERSEDED: "superseded",
    pb.END_REASON_DONE: "done",
    pb.END_REASON_RESYNC: "resync",
}


class MapStreamer(Protocol):
    """A map streamer that can be attached to."""

    @property
    def address(self) -> str:
        """Its address, for the log."""
        ...

    def attach(self, requests: AsyncIterator[pb.AttachRequest]) -> AsyncIterator[pb.AttachResponse]:
        """Open the stream."""
        ...


class _UplinkQueue:
    """The messages sent on one stream, in order."""

    __slots__ = ("_queue", "lost")

    def __init__(self) -> None:
        self._queue: asyncio.Queue[pb.AttachRequest] = asyncio.Queue(BACKLOG)
        self.lost = asyncio.Event()

    def send(self, request: pb.AttachRequest) -> None:
        try:
            self._queue.put_nowait(request)
        except asyncio.QueueFull:
            self.lost.set()

    # Not a generator: gRPC drops its request iterator in the middle of a wait, and the loop would then try to close it.
    def __aiter__(self) -> _UplinkQueue:
        return self

    async def __anext__(self) -> pb.AttachRequest:
        return await self._queue.get()


class Attachment:
    """Keeps this gateway attached to one of the map streamers; the uplink of its sessions."""

    def __init__(
        self,
        gateway_id: str,
        streamers: Sequence[MapStreamer],
        sessions: MapSessions,
        metrics: MachineMetrics,
        telemetry: Telemetry | None = None,
    ) -> None:
        telemetry = telemetry or Telemetry()
        self._tracer = telemetry.tracer
        self._background = Background(telemetry)
        self._gateway_id = gateway_id
        self._streamers = streamers
        self._sessions = sessions
        self._metrics = metrics
        self._stream: _UplinkQueue | None = None
        self._served = False
        sessions.set_uplink(self)

    @property
    def attached(self) -> bool:
        """Return whether a map streamer is attached."""
        return self._stream is not None

    def start(self) -> None:
        """Start to attach."""
        self._background.keep(self._run, "attachment")

    async def stop(self) -> None:
        """Detach."""
        await self._background.stop()

    def opened(self, session: MapSession) -> None:
        """Open a session, with its cursor if it has one."""
        opened = pb.SessionOpened(
            session_id=session.route,
            machine_key=session.request.machine_key.raw,
            node_key=session.request.node_key.raw,
            cap_version=session.request.cap_version,
            zstd=session.request.zstd,
            once=session.request.once,
            whole=session.needs_whole_map,
        )
        if session.cursor is not None:
            cursor = session.cursor
            opened.cursor.CopyFrom(common_pb2.Cursor(registry=cursor.registry, policy=cursor.policy, time=cursor.time))
        self._send(pb.AttachRequest(opened=opened))

    def closed(self, route: int) -> None:
        """Report the end of a session."""
        self._send(pb.AttachRequest(closed=pb.SessionClosed(session_id=route)))

    def paused(self, route: int) -> None:
        """Report that the client of a session reads slowly."""
        self._send(pb.AttachRequest(paused=pb.SessionPaused(session_id=route)))

    def dropped(self, frame_ids: Sequence[int]) -> None:
        """Report frames that the cache has dropped."""
        self._send(pb.AttachRequest(dropped=pb.FramesDropped(frame_ids=frame_ids)))

    def _send(self, request: pb.AttachRequest) -> None:
        if self._stream is not None:
            self._stream.send(request)

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
        """Stay attached to one map streamer until the stream ends."""
        stream = self._stream = _UplinkQueue()
        stream.send(pb.AttachRequest(hello=pb.Hello(gateway_id=self._gateway_id)))
        self._sessions.attach()
        responses = streamer.attach(aiter(stream))
        # Bare tasks: two waits raced within this function, which takes the results of both and outlives neither.
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
            log.exception("map streamer abandoned", address=streamer.address)
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
            await self._handle(response)

    async def _handle(self, response: pb.AttachResponse) -> None:
        sessions = self._sessions
        match response.WhichOneof("message"):
            case "delta":
                await self._send_delta(response.delta)
            case "frame":
                sessions.frame(response.frame.frame_id, response.frame.data)
            case "full":
                full = response.full
                sessions.full(full.session_id, _parts(full.parts), _cursor(full.cursor))
            case "accepted":
                sessions.accepted(response.accepted.session_id, response.accepted.node_id)
            case "refused":
                refusal, again = REFUSALS.get(response.refused.reason, (UNKNOWN_NODE, False))
                sessions.refused(response.refused.session_id, refusal, again=again)
            case "ended":
                sessions.ended(response.ended.session_id, REASONS.get(response.ended.reason, "done"))
            case "retired":
                sessions.retired(response.retired.frame_ids)
            case _:
                log.warning("unknown message of the map streamer")

    async def _send_delta(self, delta: pb.Delta) -> None:
        if not delta.traceparent:
            await self._broadcast(delta)
            return
        # Ends the trace that began with the request of the client that caused this delta.
        with self._tracer.start_as_current_span("map delta sent", context_of(delta.traceparent)) as span:
            span.set_attribute("sessions", len(delta.session_ids))
            await self._broadcast(delta)

    async def _broadcast(self, delta: pb.Delta) -> None:
        began = time.perf_counter()
        message, cursor, routes = length_prefix(len(delta.data)) + delta.data, _cursor(delta.cursor), delta.session_ids
        for start in range(0, len(routes), SLICE):
            if start:
                await asyncio.sleep(0)
            self._sessions.delta(routes[start : start + SLICE], message, cursor)
        self._metrics.broadcast.observe(time.perf_counter() - began)


def _cursor(cursor: common_pb2.Cursor) -> Cursor:
    return Cursor(registry=cursor.registry, policy=cursor.policy, time=cursor.time)


def _parts(parts: Sequence[pb.Part]) -> list[Part]:
    return [part.data if part.WhichOneof("part") == "data" else part.frame_id for part in parts]
