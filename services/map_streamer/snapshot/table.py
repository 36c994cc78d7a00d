"""Copy-on-write tables for the fold: shared with the previous snapshot until their first change."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Table(Generic[K, V]):
    """A table of the previous snapshot with changes on top; `now` is the current mapping, to be read only."""

    __slots__ = ("_before", "_copy", "now")

    def __init__(self, before: Mapping[K, V]) -> None:
        self.now = self._before = before
        self._copy: dict[K, V] | None = None

    def own(self) -> dict[K, V]:
        """Return the mutable copy, made at the first call."""
        if self._copy is None:
            self.now = self._copy = dict(self.now)
        return self._copy

    def put(self, key: K, value: V) -> None:
        """Set an entry."""
        self.own()[key] = value

    def drop(self, key: K) -> bool:
        """Remove an entry. Returns whether it existed."""
        return key in self.now and self.own().pop(key) is not None

    def settled(self) -> Mapping[K, V]:
        """Return the final table: the previous one if all changes cancelled out. Compares every entry."""
        return self._before if self._copy is None or self._copy == self._before else self._copy
