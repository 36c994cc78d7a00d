"""Bounds the full maps in flight by a byte budget and a queue. Knows no socket.

After a restart every client requests a full map within a second. Each waits here, first come first served, until the
bytes of earlier maps have been sent, so the memory of such a storm is bounded by the budget and not by the number of
clients.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from gateway.machine.session import MapSession

FIRST_ESTIMATE = 64 << 10
"""Bytes reserved for a map until the first one shows how large maps are here."""


class FullMapBudget:
    """Admits sessions while full maps in flight stay within the budget; always admits one."""

    __slots__ = ("_admit", "_budget", "_estimate", "_in_flight", "_waiting")

    def __init__(self, budget: int, admit: Callable[[MapSession], None]) -> None:
        """`admit` is called for each admitted session."""
        self._budget = budget
        self._admit = admit
        self._estimate = FIRST_ESTIMATE
        self._in_flight = 0
        self._waiting: deque[MapSession] = deque()

    @property
    def in_flight(self) -> int:
        """Bytes that are reserved or not sent yet."""
        return self._in_flight

    @property
    def waiting(self) -> int:
        """Number of sessions that wait."""
        return len(self._waiting)

    def enqueue(self, session: MapSession) -> None:
        """Queue a session that needs a full map."""
        self._waiting.append(session)
        self._advance()

    def measured(self, session: MapSession, size: int) -> None:
        """Replace a session's reservation by the size of its map, which counts until `release`."""
        self._estimate += (size - self._estimate) // 8
        self._in_flight += size - session.reserved
        session.reserved = size

    def release(self, session: MapSession) -> None:
        """Free a session's reservation: its map was sent, or never will be."""
        self._in_flight -= session.reserved
        session.reserved = 0
        self._advance()

    def _advance(self) -> None:
        while self._waiting and (not self._in_flight or self._in_flight + self._estimate <= self._budget):
            session = self._waiting.popleft()
            if session.responder.closed:
                continue
            session.reserved = max(1, self._estimate)
            self._in_flight += session.reserved
            self._admit(session)
