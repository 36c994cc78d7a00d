"""The bounded set of connections that have not logged in yet, and their deadline. Knows no socket and no clock."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Lobby(Generic[T]):
    """Connections before login, oldest first. When full, the oldest is evicted, not the newest: an honest client
    logs in within moments, so a flood of silent connections mostly evicts its own."""

    def __init__(self, limit: int, seconds: float) -> None:
        """Allow at most `limit` connections, each for at most `seconds`."""
        self._limit = limit
        self._seconds = seconds
        self._deadlines: OrderedDict[T, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._deadlines)

    def enter(self, item: T, now: float) -> T | None:
        """Add a connection, or restart its deadline. Returns the evicted one, which the caller must close, or None."""
        self._deadlines.pop(item, None)
        crowded = self._deadlines.popitem(last=False)[0] if len(self._deadlines) >= self._limit else None
        self._deadlines[item] = now + self._seconds
        return crowded

    def leave(self, item: T) -> None:
        """Remove a connection that has logged in or closed."""
        self._deadlines.pop(item, None)

    def expired(self, now: float) -> list[T]:
        """Remove and return the connections past their deadline."""
        late: list[T] = []
        while self._deadlines:
            item, deadline = next(iter(self._deadlines.items()))
            if deadline > now:
                break
            del self._deadlines[item]
            late.append(item)
        return late
