"""Owns the fold of one tailnet: takes facts, makes views, and tells every session the difference.

All of it runs in one event loop, and only the look-up of an unknown node waits, so no lock is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime

from opentelemetry import trace
from opentelemetry.trace import Link
from smartscale.common.v1 import common_pb2
from smartscale.map_streamer.v1 import map_streamer_pb2 as pb

from services.map_streamer.diff import Difference
from services.map_streamer.render import Deltas, Renderer, RenderSettings
from services.map_streamer.session import Session, Stage
from services.map_streamer.snapshot import AccessSettings, Cursor, Fact, KeyEnded, View, empty, fold
from services.map_streamer.tailnet.history import History
from services.map_streamer.tailnet.metrics import Metrics
from services.map_streamer.tailnet.pending import Pending
from services.map_streamer.tailnet.roster import Roster
from services.map_streamer.tailnet.window import Window
from services.shared.clock import Clock
from services.shared.telemetry import get_logger
from services.shared.telemetry.propagation import context_of, current_traceparent

log = get_logger(__name__)

_LONGEST_SLEEP = 60.0


async def _no_refresh() -> None:
    """Nothing newer can be had."""


class Tailnet:
    """The state and the sessions of one tailnet."""

    def __init__(
        self,
        clock: Clock,
        access: AccessSettings,
        render: RenderSettings,
        metrics: Metrics,
        tracer: trace.Tracer | None = None,
    ) -> None:
        self._clock = clock
        self._access = access
        self._metrics = metrics
        self._tracer = tracer or trace.NoOpTracer()
        view = View(empty(access))
        self.history = History(view)
        self.renderer = Renderer(render, view)
        self.roster = Roster(metrics)
        self.refresh: Callable[[], Awaitable[None]] = _no_refresh
        """Fetches what the logs have beyond what the bus brought; set by the one who follows the logs."""
        self.ready = asyncio.Event()
        """Set once the first snapshot is folded."""
        self._pending = Pending()
        self._first = 0.0
        self._wake = asyncio.Event()
        self._window = Window()
        self._endings: list[tuple[datetime, int]] = []
        self._deltas: dict[tuple[int, frozenset[int] | None], Deltas] = {}

    @property
    def position(self) -> Cursor:
        """How far the facts that were taken bring it, told or not."""
        return self._pending.cursor or self.view.cursor

    @property
    def view(self) -> View:
        """The current view."""
        return self.history.current

    # Facts

    def add(self, facts: Iterable[Fact], cursor: Cursor, traceparent: str = "") -> None:
        """Take facts that bring the tailnet to this position; they are told within the window."""
        if self._pending.cursor is None:
            self._first = self._clock.monotonic()
            self._wake.set()
        self._pending.add(facts, cursor, traceparent)

    def load(self, facts: Iterable[Fact], cursor: Cursor) -> None:
        """Take the first snapshot, or one fetched after a gap, and tell the difference at once."""
        self.add(facts, cursor)
        self.flush()
        self.ready.set()

    async def run(self) -> None:
        """Tell what is pending when it is due, and what ends when its time has come; for ever."""
        while True:
            timeout = self._sleep()
            if timeout > 0:
                self._wake.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), timeout)
                continue
            try:
                self.flush()
            except Exception:
                log.exception("fan-out failed")
                self._pending = Pending()
                self._resync_all()
            await asyncio.sleep(0)

    def _sleep(self) -> float:
        """Seconds until something is due; 0 or less means now."""
        timeout = _LONGEST_SLEEP
        if self._endings:
            timeout = min(timeout, (self._endings[0][0] - self._clock.now()).total_seconds())
        if self._pending.cursor is not None:
            timeout = min(timeout, self._window.due(self._first) - self._clock.monotonic())
        return timeout

    def flush(self) -> None:
        """Fold what is pending into the next view and tell every session."""
        now = self._clock.now()
        ended = self._ended_keys(now)
        if ended:
            self._pending.add(ended, self._pending.cursor or self.view.cursor)
        if self._pending.cursor is None:
            return
        pending, self._pending = self._pending, Pending()
        links = [Link(trace.get_current_span(context_of(text)).get_span_context()) for text in pending.traces[:-1]]
        context = context_of(pending.traces[-1]) if pending.traces else None
        started, cpu = time.perf_counter(), time.process_time()
        with self._tracer.start_as_current_span("map_streamer fan out", context=context, links=links):
            traceparent = current_traceparent() or (pending.traces[-1] if pending.traces else "")
            self._advance(pending, now)
            self._tell_all(pending.touched, traceparent)
        self._metrics.fan_out.observe(time.perf_counter() - started)
        self._window.told(self._clock.monotonic(), time.process_time() - cpu)

    def _ended_keys(self, now: datetime) -> list[Fact]:
        ended: list[Fact] = []
        while self._endings and self._endings[0][0] <= now:
            _, node_id = heapq.heappop(self._endings)
            ended.append(KeyEnded(node_id))
        return ended

    def _advance(self, pending: Pending, now: datetime) -> None:
        old = self.view
        cursor = pending.cursor or old.cursor
        snapshot = fold(old.snapshot, pending.facts, cursor, now, self._access)
        touched = pending.touched
        self.history.push(View(snapshot, old, touched, opaque=pending.opaque))
        self.renderer.show(self.view)
        self._deltas.clear()
        for node_id in touched:
            was, node = old.snapshot.nodes.get(node_id), snapshot.nodes.get(node_id)
            if node is None or node.expiry is None or node.expired:
                continue
            if was is None or was.expiry != node.expiry:
                heapq.heappush(self._endings, (node.expiry, node_id))
        self._metrics.nodes.set(len(snapshot.nodes))

    # Telling

    def _tell_all(self, touched: frozenset[int], traceparent: str) -> None:
        view = self.view
        self._end_stale(touched)
        old = self.history.at(view.rev - 1)
        if old is None:
            return
        deltas = Deltas(self.renderer, Difference(old, view, touched))
        groups: dict[tuple[int, str], tuple[bytes, list[Session]]] = {}
        for session in self.roster.all():
            if session.stage is not Stage.LIVE:
                continue
            if not session.ready:
                session.hold(old.rev)
                continue
            message = deltas.message(session.viewer)
            if message is not None:
                key = id(message), session.gateway.id
                groups.setdefault(key, (message, []))[1].append(session)
        self._metrics.generated.labels("delta").inc(len({key[0] for key in groups}))
        for message, sessions in groups.values():
            self._send(sessions, message, traceparent)

    def _send(self, sessions: list[Session], message: bytes, traceparent: str = "") -> None:
        delta = pb.Delta(
            session_ids=[session.id for session in sessions],
            data=message,
            cursor=self.cursor(),
            traceparent=traceparent,
        )
        sessions[0].gateway.outbox.put(pb.AttachResponse(delta=delta))
        self._metrics.sent.labels("delta").inc(len(sessions))

    def cursor(self) -> common_pb2.Cursor:
        """The position of the current view, as gateways are told."""
        return common_pb2.Cursor(registry=self.view.cursor.registry, policy=self.view.cursor.policy)

    def _end_stale(self, touched: frozenset[int]) -> None:
        """End sessions whose node is gone or has another key."""
        nodes = self.view.snapshot.nodes
        for node_id in touched:
            for session in self.roster.of_node(node_id):
                node = nodes.get(node_id)
                if node is None:
                    self.roster.end(session, pb.END_REASON_NODE_REMOVED)
                elif node.node_key != session.node_key:
                    self.roster.end(session, pb.END_REASON_KEY_ROTATED)

    def bring_up(self, session: Session) -> None:
        """Tell a session that lags what it missed as one message: a delta, or a full map when too much is forgotten."""
        if not session.ready:
            return
        if session.stage is Stage.WAITING:
            session.gateway.outbox.want_full(session.id)
        if session.stage is not Stage.HELD:
            return
        old = self.history.at(session.held)
        if old is None:
            session.stage = Stage.WAITING
            session.gateway.outbox.want_full(session.id)
            return
        self.tell(session, old, None)

    def tell(self, session: Session, old: View, doubt: frozenset[int] | None) -> None:
        """Bring one session from an old view to the current one."""
        session.stage = Stage.LIVE
        session.told = True
        if old is self.view and doubt is None:
            return
        key = old.rev, doubt
        deltas = self._deltas.get(key)
        if deltas is None:
            deltas = self._deltas[key] = Deltas(self.renderer, Difference(old, self.view, doubt=doubt))
        message = deltas.message(session.viewer)
        if message is not None:
            self._send([session], message)

    def build_full(self, session: Session) -> None:
        """Queue a session's full map of the current view; its turn has come."""
        try:
            self._build_full(session)
        except Exception:
            log.exception("full map failed", node_id=session.viewer.node_id)
            self.roster.end(session, pb.END_REASON_RESYNC)

    def _build_full(self, session: Session) -> None:
        if session.stage is not Stage.WAITING or session.paused:
            return
        visible = self.view.sight.visible(self.view.sight.class_of(session.viewer.node_id))
        if session.told and set(visible) <= {session.viewer.node_id}:
            # An absent or empty list of peers leaves a Go client with those it had.
            self.roster.end(session, pb.END_REASON_RESYNC)
            return
        parts = self.renderer.full(session.viewer, self._clock.now())
        session.stage = Stage.LIVE
        session.told = True
        outbox = session.gateway.outbox
        outbox.put_full(session.id, parts, self.cursor())
        retired = self.renderer.cache.take_retired()
        if retired:
            for gateway in self.roster.gateways():
                gateway.outbox.retire(retired)
        self._metrics.generated.labels("full").inc()
        self._metrics.sent.labels("full").inc()
        if session.once:
            self.roster.end(session, pb.END_REASON_DONE)

    def _resync_all(self) -> None:
        """Nothing is known for sure: every session gets a full map."""
        for session in self.roster.all():
            session.stage = Stage.WAITING
            self.bring_up(session)
