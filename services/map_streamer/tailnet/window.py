"""When to tell: the coalescing window. Pure; the caller brings the time.

The first change after quiet waits `FIRST`; while changes keep coming, the pause after a fan-out is four times the CPU
it took, so that telling never takes more than about a quarter of a core.
"""

from __future__ import annotations

FIRST = 0.005
SHORTEST = 0.010
LONGEST = 0.500
FACTOR = 4


class Window:
    """Decides when pending changes are due."""

    def __init__(self) -> None:
        self._pause = SHORTEST
        self._last = float("-inf")

    def due(self, first: float) -> float:
        """When to tell changes of which the first came at this time."""
        return max(first + FIRST, self._last + self._pause)

    def told(self, now: float, cpu: float) -> None:
        """A fan-out ended now and took so many CPU seconds."""
        self._last = now
        self._pause = min(max(FACTOR * cpu, SHORTEST), LONGEST)
