"""Slices of value lists for statements. Every IN list uses them: databases limit a statement's parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

MAX_PARAMETERS = 5000
"""Maximum values per IN list. PostgreSQL and SQLite allow 32,767 and 32,766 parameters per statement."""


MAX_ROWS = 500
"""Rows that are written at once where many are: it bounds what is encoded before the first of them is stored."""


def parts(values: Iterable[T], size: int = MAX_PARAMETERS) -> Iterator[Sequence[T]]:
    """Yield the values in order, in slices that fit into one statement; nothing if there are none."""
    listed = list(values)
    for start in range(0, len(listed), size):
        yield listed[start : start + size]
