"""Bounds of a value, declared on its field (`Annotated[int, Min(1)]`) and checked when the value is read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from services.shared.config.spelling import WrongValueError, duration_text

Bound = int | float | timedelta


@dataclass(frozen=True, slots=True)
class Min:
    """The lowest value that a field takes."""

    lowest: Bound
    why: str = ""
    """Effect of a lower value, as a remedy; empty: none."""

    def check(self, value: Any) -> None:
        """Raise `WrongValueError` for a value below."""
        if value < self.lowest:
            raise WrongValueError(f"is below {_text(self.lowest)}", self.why or f"write {_text(self.lowest)} or more")


@dataclass(frozen=True, slots=True)
class Max:
    """The highest value that a field takes."""

    highest: Bound

    def check(self, value: Any) -> None:
        """Raise `WrongValueError` for a value above."""
        if value > self.highest:
            raise WrongValueError(f"is above {_text(self.highest)}", f"write {_text(self.highest)} or less")


Port = Annotated[int, Min(1), Max(65535)]
Count = Annotated[int, Min(1)]


@cache
def bounds_of(section: type) -> dict[str, tuple[Min | Max, ...]]:
    """Return the bounds of each field of a section that has some."""
    found: dict[str, tuple[Min | Max, ...]] = {}
    for name, hint in get_type_hints(section, include_extras=True).items():
        if get_origin(hint) is Annotated:
            found[name] = tuple(each for each in get_args(hint)[1:] if isinstance(each, Min | Max))
    return found


def _text(bound: Bound) -> str:
    return duration_text(bound) if isinstance(bound, timedelta) else str(bound)
