"""Owns the state of one tailnet: folds facts into views and has the difference sent to every session.

Everything runs in one event loop, and only the look-up of an unknown node awaits, so no lock is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime

from opentelemetry import trace
from opentelemetry.trace import Link

from services.map_streamer.diff import Difference
from services.map_streamer.render import Renderer, RenderSettings
from services.map_streamer.snapshot import (
    AccessSettings,
    Cursor,
    Fact,
    NodeDue,
    NodePut,
    View,
    affected_nodes,
    empty,
    fold,
)
from services.map_streamer.tailnet.broadcaster import Broadcaster
from services.map_streamer.tailnet.expirations import Expirations, microseconds
from services.map_streamer.tailnet.history import History
from services.map_streamer.tailnet.metrics import Metrics
from services.map_streamer.tailnet.pending import Pending
from services.map_streamer.tailnet.roster import Roster
from services.map_streamer.tailnet.window import Window
from services.shared.runtime.clock import Clock
from services.shared.telemetry import get_logger
from services.shared.telemetry.propagation import context_of, current_traceparent

log = get_logger(__name__)

_LONGEST_SLEEP = 60.0
_TICK = 0.001
"""Seconds of the shortest sleep. uvloop counts whole milliseconds: a shorter sleep would return at once."""
_MAX_DEFERRED = 8
"""Maximum number of consecutive views whose newcomers have not been sent to the other nodes."""


async def _no_refresh() -> None:
    """Do nothing: there is no log to read."""


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
        """Fetches changes that the bus has not brought yet; set by the follower of the logs."""
        self.ready = asyncio.Event()
        """Set once the first snapshot is folded."""
        self._pending = Pending()
        self._first = 0.0
        self._urgent = False
        """True if a pending fact is about more than newcomers that are not online yet."""
        self._deferred: list[View] = []
        """The view last sent to all, and the later ones that only added newcomers; empty when there are none."""
        self._wake = asyncio.Event()
        self.window = Window()
        self._spent = 0.0
        self._recipients = 0
        self.expirations = Expirations(access.notices)
        self.broadcaster = Broadcaster(self.roster, self.history, self.renderer, clock, metrics)
        self.broadcaster.on_lag = self._wake.set

    @property
    def position(self) -> Cursor:
        """The cursor after all facts received, sent or not."""
        return self._pending.cursor or self.view.cursor

    @property
    def view(self) -> View:
        """The current view."""
        return self.history.current

    # Facts

    def add(self, facts: Iterable[Fact], cursor: Cursor, traceparent: str = "") -> None:
        """Add facts that bring the tailnet to `cursor`; they are sent within the coalescing window."""
        facts = list(facts)
        if self._pending.cursor is None:
            self._first = self._clock.monotonic()
            self._urgent = False
            self._wake.set()
        if not self._urgent and not all(map(self._is_newcomer, facts)):
            self._urgent = True
            self._wake.set()
        self._pending.add(facts, cursor, traceparent)

    def _is_newcomer(self, fact: Fact) -> bool:
        """Return whether a fact is about a node that no client knows yet and that is not online."""
        sent = self._deferred[0] if self._deferred else self.view
        return isinstance(fact, NodePut) and not fact.node.online and fact.node.id not in sent.snapshot.nodes

    def load(self, facts: Iterable[Fact], cursor: Cursor) -> None:
        """Add the first snapshot, or one fetched after a gap, and send the difference at once."""
        self.add(facts, cursor)
        self.flush()
        self.ready.set()

    async def run(self) -> None:
        """Send pending changes when they are due and expire keys on time, until cancelled."""
        while True:
            try:
                timeout = self._turn()
            except Exception:
                log.exception("fan-out failed")
                self.broadcaster.resync_all()
                timeout = 0.0
            self._wake.clear()
            if timeout <= 0:
                await asyncio.sleep(0)
                continue
            with contextlib.suppress(TimeoutError):
                # Not `wait_for`: it loses a cancellation that arrives together with the result.
                async with asyncio.timeout(max(timeout, _TICK)):
                    await self._wake.wait()

    def _turn(self) -> float:
        """Do what is due, or one slice of it. Returns the seconds until more is due."""
        if self._due_in() <= 0:
            self.flush()
        elif self.broadcaster.lagging and not self._deferred:
            cpu = time.process_time()
            self.broadcaster.send_slice()
            self._spent += time.process_time() - cpu
            self.window.record(self._clock.monotonic(), self._spent, self.broadcaster.recipients - self._recipients)
        return 0.0 if self.broadcaster.lagging and not self._deferred else self._due_in()

    def _due_in(self) -> float:
        """Return the seconds until something is due; 0 or less means now."""
        timeout = _LONGEST_SLEEP
        if (ending := self.expirations.next) is not None:
            timeout = min(timeout, (ending - self._clock.now()).total_seconds())
        if self._pending.cursor is not None:
            due = self.window.due(self._first, newcomers=not self._urgent)
            timeout = min(timeout, due - self._clock.monotonic())
        return timeout

    def fold_in(self) -> None:
        """Fold pending facts for a caller that needs them now. Other nodes are sent newcomers later."""
        if self._pending.cursor is None or self._pending.cursor == self.view.cursor:
            return
        lagging = self.broadcaster.lagging and not self._deferred
        # A session that is sent to later needs the view it has, and each broadcast adds one.
        if self._urgent or lagging or len(self._deferred) >= min(_MAX_DEFERRED, self.history.visibilities - 2):
            self.flush()
            return
        before = self.view
        difference = self._advance(self._pending, self._clock.now())
        self._deferred.append(before)
        self.broadcaster.defer(difference)

    def flush(self) -> None:
        """Fold pending facts into the next view and send every session the difference."""
        now = self._clock.now()
        expired = self.expirations.take(now)
        if expired:
            self._pending.add([NodeDue(node_id) for node_id in expired], self._pending.cursor or self.view.cursor)
        if self._pending.cursor is None:
            return
        pending, self._pending = self._pending, Pending()
        self._deferred.clear()
        links = [Link(trace.get_current_span(context_of(text)).get_span_context()) for text in pending.traces[:-1]]
        context = context_of(pending.traces[-1]) if pending.traces else None
        started, cpu = time.perf_counter(), time.process_time()
        self._recipients = self.broadcaster.recipients
        with self._tracer.start_as_current_span("map_streamer fan out", context=context, links=links):
            traceparent = current_traceparent() or (pending.traces[-1] if pending.traces else "")
            difference = self._advance(pending, now)
            self._metrics.fold.observe(time.perf_counter() - started)
            self.broadcaster.broadcast(difference, difference.new.touched, traceparent)
        self._metrics.fan_out.observe(time.perf_counter() - started)
        self._spent = time.process_time() - cpu
        self.window.record(self._clock.monotonic(), self._spent, self.broadcaster.recipients - self._recipients)
        if self.broadcaster.lagging:
            self._wake.set()

    def _advance(self, pending: Pending, now: datetime) -> Difference:
        """Make the next view current. Returns its difference from the one before."""
        old = self.view
        cursor = pending.cursor or old.cursor
        snapshot = fold(old.snapshot, pending.facts, cursor, now, self._access, self._metrics.peers.time)
        touched = pending.touched | affected_nodes(old.snapshot, snapshot)
        view = View(snapshot, old, touched, opaque=pending.opaque, time=microseconds(now))
        difference = Difference(old, view, touched)
        if difference.empty:
            self.history.replace(view)
        else:
            self.history.push(view)
        self.renderer.show(view)
        for node_id in touched:
            was, node = old.snapshot.nodes.get(node_id), snapshot.nodes.get(node_id)
            if node is not None and (
                was is None or (was.recorded_expiry, was.expired) != (node.recorded_expiry, node.expired)
            ):
                self.expirations.put(node, now)
        self.expirations.forget(snapshot.nodes, now)
        self._metrics.nodes.set(len(snapshot.nodes))
        return difference
