"""Limits on the number of connections: in total, per address, and of those that have not authenticated (half open).

Knows no socket and no clock. When too many are half open the oldest is dropped: a real client authenticates within
milliseconds, so the oldest are idle ones. A network that holds more than its share of the half-open places loses its
own oldest, so one network's flood cannot drop connections of another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from gateway.edge.settings import EdgeCounts, EdgeSettings
from services.shared.rate import network_of

NETWORK_SHARE = 8
"""One network may hold 1/8 of the half-open places before it pays for its own newcomers."""


class ConnectionSlot:
    """One admitted connection, half open at first. `drop` is called to close the connection."""

    __slots__ = ("_limiter", "address", "client", "drop", "network")

    def __init__(self, limiter: ConnectionLimiter, address: str, drop: Callable[[], None]) -> None:
        self._limiter = limiter
        self.address = address
        self.network = network_of(address)
        self.client = address
        """Address of the client: differs from `address` behind a trusted reverse proxy."""
        self.drop = drop

    def mark_authenticated(self) -> None:
        """Stop counting the connection as half open; idempotent."""
        self._limiter.mark_authenticated(self)

    def mark_half_open(self) -> None:
        """Count the connection as half open again, because it changed protocols and must authenticate there."""
        self._limiter.mark_half_open(self)

    def release(self) -> None:
        """Free the slot when the connection has ended; idempotent."""
        self.drop = _do_nothing
        self._limiter.release(self)


def _do_nothing() -> None:
    """Replace `drop` of a released slot, so that the slot keeps no connection alive."""


class ConnectionLimiter:
    """Hands out connection slots within the limits of `EdgeSettings`."""

    def __init__(self, settings: EdgeSettings, counts: EdgeCounts) -> None:
        self._settings, self._counts = settings, counts
        self._slots: set[ConnectionSlot] = set()
        self._half_open: dict[ConnectionSlot, None] = {}
        self._half_open_of: dict[str, dict[ConnectionSlot, None]] = {}
        self._per_address: Counter[str] = Counter()

    def acquire(self, address: str, drop: Callable[[], None]) -> ConnectionSlot | None:
        """Admit a connection as half open. Returns None if it must be closed at once."""
        limits, counts = self._settings, self._counts
        if len(self._slots) >= limits.max_connections:
            counts.refused_full += 1
            return None
        if 0 < limits.max_connections_per_address <= self._per_address[address]:
            counts.refused_address += 1
            return None
        slot = ConnectionSlot(self, address, drop)
        self._slots.add(slot)
        self._per_address[address] += 1
        counts.connections = len(self._slots)
        self.mark_half_open(slot)
        return slot

    def mark_half_open(self, slot: ConnectionSlot) -> None:
        """Count a slot as the youngest half-open one; drop another when there are too many."""
        if slot not in self._slots:
            return
        self._half_open[slot] = None
        self._half_open_of.setdefault(slot.network, {})[slot] = None
        if len(self._half_open) > self._settings.max_half_open:
            self._drop_oldest(slot.network)
        self._counts.half_open = len(self._half_open)

    def mark_authenticated(self, slot: ConnectionSlot) -> None:
        """Stop counting a slot as half open; idempotent."""
        if slot in self._half_open:
            self._forget_half_open(slot)

    def release(self, slot: ConnectionSlot) -> None:
        """Free a slot; idempotent."""
        if slot not in self._slots:
            return
        self._slots.remove(slot)
        self._per_address[slot.address] -= 1
        if not self._per_address[slot.address]:
            del self._per_address[slot.address]
        self._counts.connections = len(self._slots)
        self.mark_authenticated(slot)

    def _drop_oldest(self, network: str) -> None:
        """Drop the oldest half-open connection: of `network` if that exceeds its share, else of all."""
        own = self._half_open_of[network]
        exceeds = len(own) * NETWORK_SHARE > self._settings.max_half_open
        oldest = next(iter(own if exceeds else self._half_open))
        self._forget_half_open(oldest)
        self._counts.half_open_dropped += 1
        oldest.drop()

    def _forget_half_open(self, slot: ConnectionSlot) -> None:
        del self._half_open[slot]
        own = self._half_open_of[slot.network]
        del own[slot]
        if not own:
            del self._half_open_of[slot.network]
        self._counts.half_open = len(self._half_open)
