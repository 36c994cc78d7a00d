"""Slices of value lists for statements. Every IN list uses them: databases limit a statement's parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

MAX_PARAMETERS = 5000
"""Maximum values per IN list. PostgreSQL and SQLite allow 32,767 and 32,766 parameters per statement."""


def parts(values: Iterable[T]) -> Iterator[Sequence[T]]:
    """Yield the values in order, in slices that fit into one statement; nothing if there are none."""
    listed = list(values)
    for start in range(0, len(listed), MAX_PARAMETERS):
        yield listed[start : start + MAX_PARAMETERS]
