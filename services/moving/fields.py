"""One row of an old table: its values by column name, each fault noted once. Knows no table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from services.moving.values import MalformedError
from services.shared.imported import Problems

Value = TypeVar("Value")


class UnusableRowError(Exception):
    """A row lacks something without which it means nothing."""


class RowFields:
    """Reads values of one row; a column that this release does not have reads as NULL."""

    def __init__(self, row: Mapping[str, object], kind: str, which: object, problems: Problems) -> None:
        self._row = row
        self._kind = kind
        self._which = which
        self._problems = problems

    def read(self, name: str, reader: Callable[[object], Value], default: Value) -> Value:
        """Return a value, or the default if it is damaged, which is noted."""
        try:
            return reader(self._row.get(name))
        except MalformedError as error:
            self._problems.add(self._kind, self._which, f"{name} {error}", f"taken as {default or 'none'}")
            return default

    def need(self, name: str, reader: Callable[[object], Value]) -> Value:
        """Return a value without which the row cannot be used.

        Raises:
            UnusableRowError: it is damaged.
        """
        try:
            return reader(self._row.get(name))
        except MalformedError as error:
            raise UnusableRowError(f"{name} {error}") from None
