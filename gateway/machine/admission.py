"""How many full maps may be under way at once. Owns a byte budget and a queue; knows no socket.

After a restart every client asks for a full map within a second. Each waits here, first come first served, until the
bytes of the maps before it have left; so the memory of a storm is bounded by the budget and not by the clients.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from gateway.machine.session import MapSession

FIRST_ESTIMATE = 64 << 10
"""Bytes reserved for a map before the first one told how large they are here."""


class Admission:
    """Lets sessions pass while the full maps in flight stay within the budget; always lets one pass."""

    __slots__ = ("_admit", "_budget", "_estimate", "_in_flight", "_waiting")

    def __init__(self, budget: int, admit: Callable[[MapSession], None]) -> None:
        """`admit` is called for each session whose turn has come."""
        self._budget = budget
        self._admit = admit
        self._estimate = FIRST_ESTIMATE
        self._in_flight = 0
        self._waiting: deque[MapSession] = deque()

    @property
    def in_flight(self) -> int:
        """Bytes reserved or not sent yet."""
        return self._in_flight

    @property
    def waiting(self) -> int:
        """Sessions whose turn has not come."""
        return len(self._waiting)

    def ask(self, session: MapSession) -> None:
        """A session wants a full map."""
        self._waiting.append(session)
        self._advance()

    def measured(self, session: MapSession, size: int) -> None:
        """The session's map is here and has this size; it counts until `release`."""
        self._estimate += (size - self._estimate) // 8
        self._in_flight += size - session.reserved
        session.reserved = size

    def release(self, session: MapSession) -> None:
        """The session's map has left, or will never come."""
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
