"""Serves map sessions: passes messages of the map streamer to tunnels. Decides about time, order and slow readers only.

Rules that bound the cost of waiting and of slow clients:

* A session that no map streamer accepts within `open_timeout` gets 503; a client gives up after 120 s anyway.
* Nothing is queued for a client that reads slowly. A message that its tunnel refuses is discarded: the session keeps
  the cursor before it and is opened again from there when the client reads again, so the map streamer sends everything
  missed as one message. The new opening has a new route, so messages under way for the earlier one cannot arrive out
  of order.
* A client that does not read for `slow_timeout` is dropped.
* One timer per session; no task, queue or timer per message.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from gateway.exchange import Responder
from gateway.machine.frame_cache import FramesById, MissingFrameError
from gateway.machine.full_map_budget import FullMapBudget
from gateway.machine.logout_map import DismissedSessions, departure_message, logout_map
from gateway.machine.map_framing import PLAIN_KEEPALIVE, ZSTD_KEEPALIVE, framed
from gateway.machine.metrics import MachineMetrics
from gateway.machine.refusal import UNKNOWN_NODE, Refusal, refuse
from gateway.machine.session import Cancellable, Cursor, MapSession, MapSessionRequest, SessionTable
from gateway.machine.session_interfaces import Observer, Part, Reason, Timing, Uplink
from gateway.machine.session_state import Reading, ReadingEvent, Stage, StageEvent
from services.shared.runtime.clock import Clock
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

SUPERSEDED = Refusal(409, "a newer map session of this node took over")
RESYNC = Refusal(503, "the map must be read again from the start", retry_after=1)
_REFUSAL_OF_END: Mapping[Reason, Refusal] = {"superseded": SUPERSEDED, "resync": RESYNC}
"""Answers to clients whose session ends before it was accepted; any other reason: the node is unknown."""


class MapSessions:
    """All map sessions of this gateway."""

    def __init__(
        self,
        clock: Clock,
        timer: Callable[[float, Callable[[], None]], Cancellable],
        presence: Observer,
        metrics: MachineMetrics,
        timing: Timing | None = None,
        on_removed: Callable[[MapSessionRequest], None] = lambda _request: None,
        contact: str = "",
    ) -> None:
        """`timer` calls back once after some seconds; `on_removed` is called when a node key is no longer valid.

        `contact` is whom people at devices without a node are asked to turn to; empty: the administrator.
        """
        self._clock, self._timer, self._presence, self._metrics = clock, timer, presence, metrics
        self._timing = timing or Timing()
        self._on_removed = on_removed
        self._table = SessionTable()
        self._frames = FramesById()
        self._budget = FullMapBudget(self._timing.initial_map_bytes, self._open_upstream)
        self._dismissed = DismissedSessions()
        self._contact = contact
        self.on_dismissed: Callable[[MapSession], None] = lambda _session: None
        """Called for each session that was sent the map that logs its client out."""
        self._uplink: Uplink | None = None
        self._paused: set[int] = set()

    def __len__(self) -> int:
        return len(self._table)

    def __iter__(self) -> Iterator[MapSession]:
        """Iterate over a copy of the table."""
        return iter(self._table)

    @property
    def full_bytes(self) -> int:
        """Bytes of full maps in flight."""
        return self._budget.in_flight

    def set_uplink(self, uplink: Uplink) -> None:
        """Set the way to the map streamer."""
        self._uplink = uplink

    def of_node(self, node_id: int) -> MapSession | None:
        """Return the session of a node, if it has one here."""
        return self._table.of_node(node_id)

    # Requests of clients

    def open(self, request: MapSessionRequest, responder: Responder) -> MapSession:
        """Begin a map session; its answer begins when the map streamer accepts it."""
        session = self._table.create(request, responder, self)
        session.deadline = self._timer(self._timing.open_timeout, partial(self._not_opened, session))
        responder.on_closed(session.gone)
        if responder.closed:
            self._end(session, "client")
        else:
            self._budget.enqueue(session)
            self._metrics.waiting.set(self._budget.waiting)
        return session

    def stop(self) -> None:
        """End every session because this gateway stops."""
        for session in self._table:
            self._close(session, "stopping")

    # Messages of the map streamer

    def attach(self) -> None:
        """Open all sessions, with their cursors, at a map streamer that has just been attached and knows none."""
        self._frames.clear()
        for session in self._table:
            if session.upstream:
                session.change_reading(ReadingEvent.REOPENED)
                self._send_opened(session)

    def accepted(self, route: int, node_id: int) -> None:
        """Send the response head of an accepted session; a session that was opened again has one."""
        session = self._table.at(route)
        if session is None or session.writer is not None:
            return
        _cancel(session.deadline)
        session.deadline = None
        session.advance(StageEvent.ACCEPTED)
        writer = session.responder.start_stream(200)
        if session.stage is Stage.ENDED:  # the connection failed while the head was sent
            return
        session.writer = writer
        session.last_sent = self._clock.monotonic()
        older = None if session.request.once else self._table.attach_node(session, node_id)
        session.node_id = node_id
        if not session.request.once:
            self._presence.opened(session.session_id, node_id)
        if older is not None:
            self._close(older, "superseded")
        self._metrics.sessions.set(len(self._table))
        session.writer.on_resume(session.resumed)
        session.writer.on_closed(session.gone)
        if not session.writer.closed:
            if session.request.stays_awake:
                session.writer.note_awake()
            self._arm_keepalive(session)

    def refused(self, route: int, refusal: Refusal, *, again: bool) -> None:
        """End a session that the map streamer refuses; `again`: open it again later if it already has a client."""
        session = self._table.at(route)
        if session is None:
            return
        if session.writer is None:
            if refusal is not UNKNOWN_NODE or session.request.once or not self._dismiss(session):
                refuse(session.responder, refusal)
                self._end(session, "refused")
        elif again:
            self._timer(self._timing.retry * random.uniform(0.5, 1.5), partial(self._reopen, session))
        else:
            self._on_removed(session.request)
            self._close(session, "refused")

    def _dismiss(self, session: MapSession) -> bool:
        """Send the map that logs the client out, and keep the stream open. Returns False if too many are open."""
        if not self._dismissed.admit(session):
            return False
        session.advance(StageEvent.DISMISSED)
        self._budget.release(session)
        _cancel(session.deadline)
        session.deadline = None
        writer = session.responder.start_stream(200)
        if session.stage is Stage.DISMISSED:
            session.writer = writer
            writer.on_closed(session.gone)
            message = framed([logout_map(session.request, self._contact)])
            if writer.send(message):
                self._count("full", sum(map(len, message)))
            session.last_sent = self._clock.monotonic()
            self._arm_keepalive(session)
            self.on_dismissed(session)
        return True

    def explain(self, session: MapSession, sentence: str) -> None:
        """Send a dismissed client the reason why it has no node; does nothing once its session has ended."""
        if session.stage is Stage.DISMISSED and session.writer is not None and not session.writer.closed:
            session.writer.send(framed([departure_message(session.request, self._contact, sentence)]))

    def frame(self, frame_id: int, data: bytes) -> None:
        """Cache a frame that messages will name."""
        dropped = self._frames.put(frame_id, data)
        self._metrics.frame_bytes.set(self._frames.size)
        if dropped and self._uplink is not None:
            self._uplink.dropped(dropped)

    def retired(self, frame_ids: Iterable[int]) -> None:
        """Drop frames that no message will name again."""
        self._frames.retire(frame_ids)

    def full(self, route: int, parts: Sequence[Part], cursor: Cursor) -> None:
        """Send a full map to a session."""
        session = self._table.at(route)
        if session is None or session.writer is None:
            return
        try:
            pieces = [part if isinstance(part, bytes) else self._frames.get(part) for part in parts]
        except MissingFrameError:
            # Sending the frames again would not do: a map larger than the cache would never be complete.
            session.needs_whole_map = True
            self._reopen(session)
            return
        message = framed(pieces)
        size = sum(map(len, message))
        self._budget.measured(session, size)
        if self._send(session, message, cursor, self._clock.monotonic()) and session.stage is not Stage.ENDED:
            session.advance(StageEvent.MAP_SENT)
            session.needs_whole_map = False
            self._count("full", size)
        if session.paused_since is None:
            self._budget.release(session)

    def delta(self, routes: Iterable[int], message: bytes, cursor: Cursor) -> None:
        """Send a framed message to several sessions; those without a map yet are skipped."""
        at, now, buffers, sent = self._table.at, self._clock.monotonic(), (message,), 0
        for route in routes:
            session = at(route)
            if session is not None and session.stage is Stage.LIVE and self._send(session, buffers, cursor, now):
                sent += 1
        self._count("change", len(message), sent)

    def ended(self, route: int, reason: Reason) -> None:
        """End a session at the request of the map streamer."""
        session = self._table.at(route)
        if session is None:
            return
        if reason in ("removed", "rotated"):
            self._on_removed(session.request)
        if session.writer is None:
            refuse(session.responder, _REFUSAL_OF_END.get(reason, UNKNOWN_NODE))
        self._close(session, reason, upstream=False)

    # Requests of this gateway

    def ping(self, node_id: int, message: Sequence[bytes]) -> bool:
        """Send a framed keep-alive with a PingRequest to a node. Returns False if its session cannot accept it now."""
        session = self._table.of_node(node_id)
        if session is None or session.writer is None or not session.writer.send(message):
            return False
        session.last_sent = self._clock.monotonic()
        self._count("ping", sum(map(len, message)))
        return True

    def _send(self, session: MapSession, message: Sequence[bytes], cursor: Cursor, now: float) -> bool:
        writer = session.writer
        if writer is None or session.reading is Reading.BEHIND or not writer.send(message):
            if writer is not None and not writer.closed:
                self._fall_behind(session)
            return False
        session.cursor = cursor
        session.last_sent = now
        if writer.paused and not writer.closed:
            self._note_pause(session)
        return True

    def _note_pause(self, session: MapSession) -> None:
        session.change_reading(ReadingEvent.BLOCKED)
        self._pause(session)

    def _pause(self, session: MapSession) -> None:
        if session.paused_since is None:
            session.paused_since = self._clock.monotonic()
            self._paused.add(session.session_id)
            self._metrics.paused.set(len(self._paused))

    def _fall_behind(self, session: MapSession) -> None:
        if session.reading is Reading.BEHIND:
            return
        session.change_reading(ReadingEvent.MISSED)
        self._pause(session)
        if self._uplink is not None:
            self._uplink.paused(session.route)

    def gone(self, session: MapSession) -> None:
        """End a session whose client or connection has ended."""
        writer = session.writer
        self._end(session, "lost" if writer is not None and writer.peer_lost else "client")

    def resumed(self, session: MapSession) -> None:
        """Send to a session again whose client has read everything."""
        behind = session.reading is Reading.BEHIND
        session.change_reading(ReadingEvent.RESUMED)
        session.paused_since = None
        self._paused.discard(session.session_id)
        self._metrics.paused.set(len(self._paused))
        self._budget.release(session)
        if behind:
            self._reopen(session)

    def _reopen(self, session: MapSession) -> None:
        """Open a session again at the map streamer, from its cursor."""
        if self._table.at(session.route) is not session:
            return
        session.change_reading(ReadingEvent.REOPENED)
        former = self._table.reroute(session)
        if self._uplink is not None and self._uplink.attached:
            self._uplink.closed(former)
            self._send_opened(session)

    def _open_upstream(self, session: MapSession) -> None:
        session.advance(StageEvent.ADMITTED)
        self._metrics.waiting.set(self._budget.waiting)
        self._send_opened(session)

    def _send_opened(self, session: MapSession) -> None:
        if self._uplink is not None and self._uplink.attached:
            self._uplink.opened(session)

    def _not_opened(self, session: MapSession) -> None:
        if session.writer is None:
            refuse(session.responder, Refusal(503, "no map streamer took this map session in time", retry_after=2))
            self._end(session, "timeout")

    def _arm_keepalive(self, session: MapSession) -> None:
        """Choose when the next keep-alive is due, and set the timer."""
        session.keepalive_after = self._timing.keepalive + random.uniform(0, self._timing.jitter)
        session.timer = self._timer(self._wait_of(session), session.check_idle)

    def _wait_of(self, session: MapSession) -> float:
        wait = session.last_sent + session.keepalive_after - self._clock.monotonic()
        if session.paused_since is not None:
            wait = session.paused_since + self._timing.slow_timeout - self._clock.monotonic()
        return max(wait, 0.001)

    def check_idle(self, session: MapSession) -> None:
        """Send a keep-alive if one is due; drop a client that does not read."""
        writer = session.writer
        if writer is None or writer.closed:
            return
        now = self._clock.monotonic()
        if session.paused_since is not None and now - session.paused_since >= self._timing.slow_timeout:
            self._close(session, "slow")
            return
        if now - session.last_sent < session.keepalive_after or session.paused_since is not None:
            session.timer = self._timer(self._wait_of(session), session.check_idle)
            return
        message = ZSTD_KEEPALIVE if session.request.zstd else PLAIN_KEEPALIVE
        if not session.request.once and writer.send((message,)):
            self._count("keepalive", len(message))
        session.last_sent = now
        self._arm_keepalive(session)

    def _close(self, session: MapSession, reason: Reason, *, upstream: bool = True) -> None:
        """End a session and its response body."""
        writer = session.writer
        self._end(session, reason, upstream=upstream)
        if writer is None:
            refuse(session.responder, Refusal(503, "this gateway is stopping", retry_after=1))
        elif reason == "slow":
            writer.abort()
        else:
            writer.end()

    def _end(self, session: MapSession, reason: Reason, *, upstream: bool = True) -> None:
        """Remove a session from every table."""
        if not self._table.remove(session):
            return
        known_upstream, served_node = session.upstream, session.node_id != 0
        session.advance(StageEvent.ENDED)
        _cancel(session.deadline)
        _cancel(session.timer)
        session.deadline = session.timer = None
        self._paused.discard(session.session_id)
        if upstream and known_upstream and self._uplink is not None and self._uplink.attached:
            self._uplink.closed(session.route)
        if served_node and not session.request.once:
            self._presence.closed(session.session_id, lost=reason == "lost")
        self._budget.release(session)
        self._dismissed.remove(session)
        self._metrics.sessions.set(len(self._table))
        self._metrics.paused.set(len(self._paused))
        self._metrics.ended.labels(reason).inc()
        log.debug("map session ended", session_id=session.session_id, node_id=session.node_id, reason=reason)

    def _count(self, kind: str, size: int, messages: int = 1) -> None:
        self._metrics.sent_by_kind[kind].inc(messages)
        self._metrics.bytes_sent.inc(size * messages)


def _cancel(timer: Cancellable | None) -> None:
    if timer is not None:
        timer.cancel()
