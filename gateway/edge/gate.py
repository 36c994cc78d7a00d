"""How many connections there may be, in all and from one address, and how many that have proved nothing.

When too many are half open the oldest gives way: a real client proves itself within milliseconds, so what is oldest
is what only sits there, and a flood of such connections drops its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from gateway.edge.settings import EdgeCounts, EdgeSettings


class Visit:
    """One connection at the gate. It starts half open; `drop` is called to make it go away."""

    __slots__ = ("_gate", "address", "client", "drop")

    def __init__(self, gate: Gate, address: str, drop: Callable[[], None]) -> None:
        self._gate = gate
        self.address = address
        self.client = address
        """The client's own address; another one than the connection's when a trusted proxy says so."""
        self.drop = drop

    def proved(self) -> None:
        """It is no longer half open; harmless when said before."""
        self._gate.prove(self)

    def half_open_again(self) -> None:
        """It became something else that must prove itself anew."""
        self._gate.doubt(self)

    def left(self) -> None:
        """The connection is gone; harmless when said before."""
        self.drop = _gone
        self._gate.leave(self)


def _gone() -> None:
    """Nothing is left to drop, and nothing is held."""


class Gate:
    """Counts visits against the limits."""

    def __init__(self, settings: EdgeSettings, counts: EdgeCounts) -> None:
        self._settings, self._counts = settings, counts
        self._visits: set[Visit] = set()
        self._half_open: dict[Visit, None] = {}
        self._per_address: Counter[str] = Counter()

    def enter(self, address: str, drop: Callable[[], None]) -> Visit | None:
        """Let a connection in, half open; None when it must be closed at once."""
        limits, counts = self._settings, self._counts
        if len(self._visits) >= limits.max_connections:
            counts.refused_full += 1
            return None
        if 0 < limits.max_connections_per_address <= self._per_address[address]:
            counts.refused_address += 1
            return None
        visit = Visit(self, address, drop)
        self._visits.add(visit)
        self._per_address[address] += 1
        counts.connections = len(self._visits)
        self.doubt(visit)
        return visit

    def doubt(self, visit: Visit) -> None:
        """Count a visit as half open, as the youngest of them."""
        if visit not in self._visits:
            return
        self._half_open[visit] = None
        if len(self._half_open) > self._settings.max_half_open:
            oldest = next(iter(self._half_open))
            del self._half_open[oldest]
            self._counts.half_open_dropped += 1
            oldest.drop()
        self._counts.half_open = len(self._half_open)

    def prove(self, visit: Visit) -> None:
        """Count a visit as a real one."""
        self._half_open.pop(visit, None)
        self._counts.half_open = len(self._half_open)

    def leave(self, visit: Visit) -> None:
        """Forget a visit."""
        if visit not in self._visits:
            return
        self._visits.remove(visit)
        self._per_address[visit.address] -= 1
        if not self._per_address[visit.address]:
            del self._per_address[visit.address]
        self._counts.connections = len(self._visits)
        self.prove(visit)
