"""Connections that have not logged in yet: how many, and for how long. Knows no socket and no clock."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Lobby(Generic[T]):
    """A bounded waiting room. When it is full the longest waiting is sent away, not the newcomer: whoever is honest
    logs in within moments, so a flood of silent connections only pushes out its own kind."""

    def __init__(self, limit: int, seconds: float) -> None:
        """At most `limit` wait, each at most `seconds`."""
        self._limit = limit
        self._seconds = seconds
        self._deadlines: OrderedDict[T, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._deadlines)

    def enter(self, item: T, now: float) -> T | None:
        """Add a connection, or restart its time. Returns the oldest one where it must be closed to make room."""
        self._deadlines.pop(item, None)
        crowded = self._deadlines.popitem(last=False)[0] if len(self._deadlines) >= self._limit else None
        self._deadlines[item] = now + self._seconds
        return crowded

    def leave(self, item: T) -> None:
        """It has logged in or is gone."""
        self._deadlines.pop(item, None)

    def expired(self, now: float) -> list[T]:
        """Remove and return the connections whose time has run out."""
        late: list[T] = []
        while self._deadlines:
            item, deadline = next(iter(self._deadlines.items()))
            if deadline > now:
                break
            del self._deadlines[item]
            late.append(item)
        return late
