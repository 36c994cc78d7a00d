"""A table of a snapshot while the next one is made: copied at its first change, and otherwise the very same."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Table(Generic[K, V]):
    """What was known before, with changes. `now` is never changed in place once somebody else may hold it."""

    __slots__ = ("_before", "_copy", "now")

    def __init__(self, before: Mapping[K, V]) -> None:
        self.now = self._before = before
        self._copy: dict[K, V] | None = None

    def own(self) -> dict[K, V]:
        """The table to change."""
        if self._copy is None:
            self.now = self._copy = dict(self.now)
        return self._copy

    def put(self, key: K, value: V) -> None:
        """Set an entry."""
        self.own()[key] = value

    def drop(self, key: K) -> bool:
        """Remove an entry; whether there was one."""
        return key in self.now and self.own().pop(key) is not None

    def settled(self) -> Mapping[K, V]:
        """The table in the end: the one from before where all changes came to nothing. Looks at every entry."""
        return self._before if self._copy is None or self._copy == self._before else self._copy
