"""Owns the fold of one tailnet: takes facts, makes views, and tells every session the difference.

All of it runs in one event loop, and only the look-up of an unknown node waits, so no lock is needed.
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
from services.map_streamer.snapshot import AccessSettings, Cursor, Fact, KeyEnded, NodePut, View, empty, fold, swayed
from services.map_streamer.tailnet.endings import Endings, microseconds
from services.map_streamer.tailnet.history import History
from services.map_streamer.tailnet.metrics import Metrics
from services.map_streamer.tailnet.pending import Pending
from services.map_streamer.tailnet.roster import Roster
from services.map_streamer.tailnet.telling import Teller
from services.map_streamer.tailnet.window import Window
from services.shared.runtime.clock import Clock
from services.shared.telemetry import get_logger
from services.shared.telemetry.propagation import context_of, current_traceparent

log = get_logger(__name__)

_LONGEST_SLEEP = 60.0
_TICK = 0.001
"""uvloop counts whole milliseconds, so a shorter sleep is none, and many of them fit into one."""
_PUT_OFF = 8
"""Views that may follow each other before the others are told of the newcomers in them."""


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
        self._hurry = False
        """Whether anything that waits is more than a newcomer that cannot be talked to yet."""
        self._put_off: list[View] = []
        """The view that everybody was told, and those since that only had newcomers more; empty when there are none."""
        self._wake = asyncio.Event()
        self.window = Window()
        self._spent = 0.0
        self._told = 0
        self.endings = Endings()
        self.teller = Teller(self.roster, self.history, self.renderer, clock, metrics)
        self.teller.lags = self._wake.set

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
        facts = list(facts)
        if self._pending.cursor is None:
            self._first = self._clock.monotonic()
            self._hurry = False
            self._wake.set()
        if not self._hurry and not all(map(self._is_newcomer, facts)):
            self._hurry = True
            self._wake.set()
        self._pending.add(facts, cursor, traceparent)

    def _is_newcomer(self, fact: Fact) -> bool:
        """Whether it is about a node that nobody was told of and nobody could talk to."""
        told = self._put_off[0] if self._put_off else self.view
        return isinstance(fact, NodePut) and not fact.node.online and fact.node.id not in told.snapshot.nodes

    def load(self, facts: Iterable[Fact], cursor: Cursor) -> None:
        """Take the first snapshot, or one fetched after a gap, and tell the difference at once."""
        self.add(facts, cursor)
        self.flush()
        self.ready.set()

    async def run(self) -> None:
        """Tell what is pending when it is due, and what ends when its time has come; for ever."""
        while True:
            try:
                timeout = self._turn()
            except Exception:
                log.exception("fan-out failed")
                self.teller.start_over()
                timeout = 0.0
            self._wake.clear()
            if timeout <= 0:
                await asyncio.sleep(0)
                continue
            with contextlib.suppress(TimeoutError):
                # Not `wait_for`: where both come at once it gives the result and forgets that it was cancelled.
                async with asyncio.timeout(max(timeout, _TICK)):
                    await self._wake.wait()

    def _turn(self) -> float:
        """Do what is due, or one slice of it; gives the seconds until there is more."""
        if self._due_in() <= 0:
            self.flush()
        elif self.teller.lagging and not self._put_off:
            cpu = time.process_time()
            self.teller.take_slice()
            self._spent += time.process_time() - cpu
            self.window.told(self._clock.monotonic(), self._spent, self.teller.told - self._told)
        return 0.0 if self.teller.lagging and not self._put_off else self._due_in()

    def _due_in(self) -> float:
        """Seconds until something is due; 0 or less means now."""
        timeout = _LONGEST_SLEEP
        if (ending := self.endings.next) is not None:
            timeout = min(timeout, (ending - self._clock.now()).total_seconds())
        if self._pending.cursor is not None:
            due = self.window.due(self._first, newcomers=not self._hurry)
            timeout = min(timeout, due - self._clock.monotonic())
        return timeout

    def fold_in(self) -> None:
        """Make what is pending known to who asks for it now. Newcomers wait on until the others are to be told."""
        if self._pending.cursor is None or self._pending.cursor == self.view.cursor:
            return
        lagging = self.teller.lagging and not self._put_off
        # Who is told later needs the view that it knows, and telling makes one more.
        if self._hurry or lagging or len(self._put_off) >= min(_PUT_OFF, self.history.sights - 2):
            self.flush()
            return
        told = self.view
        difference = self._advance(self._pending, self._clock.now())
        self._put_off.append(told)
        self.teller.tell_later(difference)

    def flush(self) -> None:
        """Fold what is pending into the next view and tell every session."""
        now = self._clock.now()
        ended = self.endings.take(now)
        if ended:
            self._pending.add([KeyEnded(node_id) for node_id in ended], self._pending.cursor or self.view.cursor)
        if self._pending.cursor is None:
            return
        pending, self._pending = self._pending, Pending()
        self._put_off.clear()
        links = [Link(trace.get_current_span(context_of(text)).get_span_context()) for text in pending.traces[:-1]]
        context = context_of(pending.traces[-1]) if pending.traces else None
        started, cpu = time.perf_counter(), time.process_time()
        self._told = self.teller.told
        with self._tracer.start_as_current_span("map_streamer fan out", context=context, links=links):
            traceparent = current_traceparent() or (pending.traces[-1] if pending.traces else "")
            difference = self._advance(pending, now)
            self._metrics.fold.observe(time.perf_counter() - started)
            self.teller.tell_all(difference, difference.new.touched, traceparent)
        self._metrics.fan_out.observe(time.perf_counter() - started)
        self._spent = time.process_time() - cpu
        self.window.told(self._clock.monotonic(), self._spent, self.teller.told - self._told)
        if self.teller.lagging:
            self._wake.set()

    def _advance(self, pending: Pending, now: datetime) -> Difference:
        """Make the next view; gives what is different from the one before."""
        old = self.view
        cursor = pending.cursor or old.cursor
        snapshot = fold(old.snapshot, pending.facts, cursor, now, self._access)
        touched = pending.touched | swayed(old.snapshot, snapshot)
        view = View(snapshot, old, touched, opaque=pending.opaque, time=microseconds(now))
        difference = Difference(old, view, touched)
        if difference.empty:
            self.history.replace(view)
        else:
            self.history.push(view)
        self.renderer.show(view)
        for node_id in touched:
            was, node = old.snapshot.nodes.get(node_id), snapshot.nodes.get(node_id)
            if node is not None and (was is None or (was.term, was.expired) != (node.term, node.expired)):
                self.endings.put(node, now)
        self.endings.forget(snapshot.nodes, now)
        self._metrics.nodes.set(len(snapshot.nodes))
        return difference
