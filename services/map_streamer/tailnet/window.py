"""When to tell: the coalescing window. Pure; the caller brings the time.

The first change after quiet waits `FIRST`; while changes keep coming, the pause after a fan-out is four times the CPU
it took, so that telling never takes more than about a quarter of a core. Most of that CPU is spent in the gateways,
which may be other processes: it is reckoned from the number of recipients.
"""

from __future__ import annotations

FIRST = 0.005
SHORTEST = 0.010
LONGEST = 0.500
NEWCOMER = 0.250
"""A node that has just registered can be talked to once it opens its map, which it does next: both are told as one."""
FACTOR = 4
RECIPIENT = 10e-6
"""CPU seconds that a gateway needs for each recipient: to seal the message and to hand it to the kernel."""


class Window:
    """Decides when pending changes are due."""

    def __init__(self) -> None:
        self._pause = SHORTEST
        self._last = float("-inf")

    @property
    def pause(self) -> float:
        """Seconds between two fan-outs now."""
        return self._pause

    def due(self, first: float, *, newcomers: bool = False) -> float:
        """When to tell changes of which the first came at this time; newcomers alone can wait."""
        return max(first + (NEWCOMER if newcomers else FIRST), self._last + self._pause)

    def told(self, now: float, cpu: float, recipients: int) -> None:
        """A fan-out to so many recipients ended now and took so many CPU seconds here."""
        self._last = now
        self._pause = min(max(FACTOR * (cpu + recipients * RECIPIENT), SHORTEST), LONGEST)
