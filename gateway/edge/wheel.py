"""One timer for all: thousands of coarse deadlines behind a single handle of the event loop.

A deadline is never early and at most two ticks late, or as much later as those before it in its tick take: they fire in
slices, with the loop's other work in between, since thousands of connections that came together end together. While
nothing is armed nothing ticks.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable

from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

SLICE = 64
"""Deadlines that fire in one step of the loop: dropping a connection costs up to 0.1 ms where it has TLS."""


class Timer:
    """A deadline that may be taken back; what it would have called is let go at once."""

    __slots__ = ("_callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Do not fire; harmless afterwards."""
        self._callback = None

    def fire(self) -> None:
        """Call back, once. What that raises is a fault of ours: it is logged, and the other deadlines go on."""
        callback, self._callback = self._callback, None
        if callback is None:
            return
        try:
            callback()
        except Exception:
            log.exception("timer failed")


class TimerWheel:
    """Deadlines sorted into ticks. `now` and `call_later` are those of a loop, or a test's."""

    def __init__(
        self,
        now: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], object],
        tick: float = 0.1,
    ) -> None:
        self._now, self._call_later, self._tick = now, call_later, tick
        self._due: dict[int, list[Timer]] = {}
        self._firing: deque[Timer] = deque()
        self._done = 0
        """The last tick that has fired."""
        self._ticking = False

    @classmethod
    def of_loop(cls, loop: asyncio.AbstractEventLoop, tick: float = 0.5) -> TimerWheel:
        """A wheel on the clock of an event loop.

        Its deadlines are seconds to minutes. What an idle process costs is its wake-ups, each 0.1 ms of CPU: thousands
        of keep-alives share two in a second.
        """
        return cls(loop.time, loop.call_later, tick)

    def after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back once, `seconds` from now."""
        timer = Timer(callback)
        if not self._ticking:
            self._done = self._current()
            self._ticking = True
            self._call_later(self._tick, self._turn)
        due = max(math.ceil((self._now() + seconds) / self._tick), self._done + 1)
        self._due.setdefault(due, []).append(timer)
        return timer

    def _current(self) -> int:
        return math.floor(self._now() / self._tick)

    def _turn(self) -> None:
        current, firing = self._current(), self._firing
        for tick in range(self._done + 1, current + 1):
            self._done = tick
            firing.extend(self._due.pop(tick, ()))
        for _ in range(min(SLICE, len(firing))):
            firing.popleft().fire()
        self._ticking = bool(firing or self._due)
        if self._ticking:
            self._call_later(0.0 if firing else self._tick, self._turn)
