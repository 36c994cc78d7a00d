"""Cuts lists of values for statements. Every IN list goes through here: databases bound a statement's parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

MAX_PARAMETERS = 5000
"""Values in one IN list. PostgreSQL and SQLite take at most 32,767 and 32,766 parameters in a statement."""


def parts(values: Iterable[T]) -> Iterator[Sequence[T]]:
    """Yield the values in order, in slices that fit into one statement; nothing when there are none."""
    listed = list(values)
    for start in range(0, len(listed), MAX_PARAMETERS):
        yield listed[start : start + MAX_PARAMETERS]
