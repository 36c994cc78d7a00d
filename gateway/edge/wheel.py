"""A timer wheel: thousands of coarse deadlines behind a single handle of the event loop.

A deadline is never early and at most two ticks late, plus the time that the deadlines before it in its tick take: they
fire in slices, with other work of the loop in between, because connections that began together end together. Nothing
ticks while no deadline is armed.
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
STALL = 1.0
"""Seconds by which a tick must be late for the event loop to count as stalled."""


class Timer:
    """A deadline that can be cancelled; cancelling drops the reference to its callback."""

    __slots__ = ("_callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Prevent the callback; idempotent, and harmless after it has fired."""
        self._callback = None

    def fire(self) -> None:
        """Call back, once. An exception is logged and does not affect other deadlines."""
        callback, self._callback = self._callback, None
        if callback is None:
            return
        try:
            callback()
        except Exception:
            log.exception("timer failed")


class TimerWheel:
    """Deadlines sorted into ticks. `now` and `call_later` come from an event loop or from a test."""

    def __init__(
        self,
        now: Callable[[], float],
        call_later: Callable[[float, Callable[[], None]], object],
        tick: float = 0.1,
    ) -> None:
        self.now = now
        """The clock of the wheel, in seconds."""
        self._call_later, self._tick_seconds = call_later, tick
        self._due: dict[int, list[Timer]] = {}
        self._firing: deque[Timer] = deque()
        self._done = 0
        """The last tick that has fired."""
        self._ticking = False
        self._next_tick_at = self._stalled_at = -math.inf

    @classmethod
    def of_loop(cls, loop: asyncio.AbstractEventLoop, tick: float = 0.5) -> TimerWheel:
        """Make a wheel on the clock of an event loop.

        Its deadlines are seconds to minutes, and each wake-up of an idle process costs 0.1 ms of CPU, so thousands of
        keep-alives share two wake-ups a second.
        """
        return cls(loop.time, loop.call_later, tick)

    def after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Arm a deadline: call back once, `seconds` from now."""
        timer = Timer(callback)
        if not self._ticking:
            self._done = self._current()
            self._ticking = True
            self._schedule(self._tick_seconds)
        due = max(math.ceil((self.now() + seconds) / self._tick_seconds), self._done + 1)
        self._due.setdefault(due, []).append(timer)
        return timer

    def stalled_since(self, since: float) -> bool:
        """Return whether the event loop stood still for more than `STALL` seconds at some time after `since`.

        A stall that still goes on counts: its tick is overdue.
        """
        return self._stalled_at >= since or (self._ticking and self.now() - self._next_tick_at > STALL)

    def _current(self) -> int:
        return math.floor(self.now() / self._tick_seconds)

    def _schedule(self, delay: float) -> None:
        self._next_tick_at = self.now() + delay
        self._call_later(delay, self._tick)

    def _tick(self) -> None:
        if self.now() - self._next_tick_at > STALL:
            self._stalled_at = self.now()
        current, firing = self._current(), self._firing
        for tick in range(self._done + 1, current + 1):
            self._done = tick
            firing.extend(self._due.pop(tick, ()))
        for _ in range(min(SLICE, len(firing))):
            firing.popleft().fire()
        self._ticking = bool(firing or self._due)
        if self._ticking:
            self._schedule(0.0 if firing else self._tick_seconds)
