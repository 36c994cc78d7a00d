"""The coalescing window: when pending changes are sent. Pure; the caller passes the time.

The first change after a quiet time waits `FIRST`. While changes keep coming, the pause after a fan-out is four times
its CPU time, so that sending takes about a quarter of a core at most. Most of that CPU is spent by the gateways, which
may be other processes; it is estimated from the number of recipients.
"""

from __future__ import annotations

FIRST = 0.005
SHORTEST = 0.010
LONGEST = 0.500
NEWCOMER = 0.250
"""Seconds that a new node waits: peers can reach it only once it opens its map, and both are sent as one change."""
FACTOR = 4
RECIPIENT = 10e-6
"""CPU seconds of a gateway for each recipient, to seal the message and to pass it to the kernel."""


class Window:
    """Decides when pending changes are due."""

    def __init__(self) -> None:
        self._pause = SHORTEST
        self._last = float("-inf")

    @property
    def pause(self) -> float:
        """Current pause between two fan-outs, in seconds."""
        return self._pause

    def due(self, first: float, *, newcomers: bool = False) -> float:
        """Return the due time of changes that began at `first`; newcomers alone can wait longer."""
        return max(first + (NEWCOMER if newcomers else FIRST), self._last + self._pause)

    def record(self, now: float, cpu: float, recipients: int) -> None:
        """Record a fan-out that ended at `now` and took `cpu` seconds of CPU in this process."""
        self._last = now
        self._pause = min(max(FACTOR * (cpu + recipients * RECIPIENT), SHORTEST), LONGEST)
