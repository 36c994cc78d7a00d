"""Parsing and printing of Go durations, which check periods and their error texts use."""

from __future__ import annotations

import re

_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_PART = re.compile(r"([0-9]{0,18})(\.[0-9]{0,18})?([^0-9.]*)")
_LIMIT = 1 << 63


def parse_duration(text: str) -> int:
    """Return the nanoseconds of a duration such as ``1h30m``. Raises `ValueError` with Go's message."""
    invalid = ValueError(f'time: invalid duration "{text}"')
    sign, body = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if body == "0":
        return 0
    if not body:
        raise invalid
    total = 0
    position = 0
    while position < len(body):
        found = _PART.match(body, position)
        if found is None or not (found[1] or (found[2] and len(found[2]) > 1)):
            raise invalid
        if not found[3]:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if found[3] not in _UNITS:
            raise ValueError(f'time: unknown unit "{found[3]}" in duration "{text}"')
        unit = _UNITS[found[3]]
        total += int(found[1] or 0) * unit
        if found[2] and len(found[2]) > 1:
            digits = found[2][1:]
            total += int(digits) * unit // 10 ** len(digits)
        if total >= _LIMIT:
            raise invalid
        position = found.end()
    return sign * total


def show_duration(nanoseconds: int) -> str:
    """Return a duration as Go prints it: ``200h0m0s``, ``-1m0s``, ``1.5s``.

    >>> show_duration(parse_duration("1.5h"))
    '1h30m0s'
    """
    if nanoseconds == 0:
        return "0s"
    sign = "-" if nanoseconds < 0 else ""
    left = abs(nanoseconds)
    if left < 10**9:
        for unit, size in (("ms", 10**6), ("µs", 10**3)):
            if left >= size:
                return f"{sign}{_decimal(left, size)}{unit}"
        return f"{sign}{left}ns"
    hours, left = divmod(left, 3600 * 10**9)
    minutes, left = divmod(left, 60 * 10**9)
    seconds = f"{_decimal(left, 10**9)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{seconds}"
    return f"{sign}{minutes}m{seconds}" if minutes else sign + seconds


def _decimal(amount: int, unit: int) -> str:
    whole, rest = divmod(amount, unit)
    if not rest:
        return str(whole)
    return f"{whole}.{str(rest).zfill(len(str(unit)) - 1).rstrip('0')}"
