"""Parses and prints durations, file modes, and lists and mappings in one line."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

from services.shared.config.source import Given, Scalar

_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": 86400,
    "w": 604800,
    "y": 31536000,
}
_TRUE = frozenset(("true", "yes", "on", "1", "t", "y"))
_FALSE = frozenset(("false", "no", "off", "0", "f", "n"))
_DURATION = re.compile(r"(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h|d|w|y))+\Z")
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d|w|y)")


class WrongValueError(ValueError):
    """A value that is invalid for its key, and the remedy."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy


def parse_truth(text: str) -> bool:
    """Read true or false, in each spelling of YAML 1.1 and of Go.

    Raises:
        WrongValueError: it is neither.
    """
    if text.lower() not in _TRUE | _FALSE:
        raise WrongValueError("is neither true nor false", "write true or false")
    return text.lower() in _TRUE


def parse_duration(text: str) -> timedelta:
    """Read `1h30m`, `180d`, `500ms` or `0`.

    Raises:
        ValueError: it is none.

    >>> parse_duration("1h30m"), parse_duration("180d")
    (datetime.timedelta(seconds=5400), datetime.timedelta(days=180))
    """
    text = text.strip().removeprefix("+")
    if text in ("0", ""):
        return timedelta(0)
    if not _DURATION.match(text):
        raise ValueError("not a duration")
    try:
        return timedelta(seconds=sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)))
    except OverflowError:
        raise ValueError("not a duration") from None


def duration_text(duration: timedelta) -> str:
    """Write a duration in its largest whole unit: `180d`, `90s`, `800ms`, `0`."""
    if not duration:
        return "0"
    for unit in ("d", "h", "m", "s"):
        if not duration % timedelta(seconds=_UNITS[unit]):
            return f"{duration // timedelta(seconds=_UNITS[unit])}{unit}"
    return f"{duration // timedelta(milliseconds=1)}ms"


def parse_mode(text: str) -> int:
    """Return a file mode: always octal, `0770`, `0o770` or `770`."""
    try:
        mode = int(text.removeprefix("0o"), 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise WrongValueError("is not a file mode", "write octal digits in quotes, as in '0770'")
    return mode


def split_list(text: str, where: str) -> list[Given]:
    """Return a list written in one line: JSON, or items between commas or white space."""
    if text.lstrip().startswith("["):
        value = _json(text)
        if not isinstance(value, list):
            raise WrongValueError("is not a JSON list", 'write it as in ["a", "b"]')
        return [_as_given(item, where) for item in value]
    return [Given(Scalar(item), where) for item in re.split(r"[,\s]+", text.strip()) if item]


def split_mapping(text: str, where: str) -> dict[str, Given]:
    """Return a mapping written in one line: JSON, or `name=value` between commas or white space."""
    if text.lstrip().startswith("{"):
        value = _json(text)
        if not isinstance(value, dict):
            raise WrongValueError("is not a JSON object", 'write it as in {"a": "b"}')
        return {str(name): _as_given(item, where) for name, item in value.items()}
    pairs = [item.partition("=") for item in re.split(r"[,\s]+", text.strip()) if item]
    if not all(equals for _name, equals, _value in pairs):
        raise WrongValueError("is not a mapping", "write it as name=value,name=value or as JSON")
    return {name: Given(Scalar(value), where) for name, _equals, value in pairs}


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise WrongValueError("is not JSON", "check brackets and quotes") from None


def _as_given(value: Any, where: str) -> Given:
    if isinstance(value, dict):
        return Given({str(name): _as_given(item, where) for name, item in value.items()}, where)
    if isinstance(value, list):
        return Given([_as_given(item, where) for item in value], where)
    if value is None:
        return Given(Scalar("", "null"), where)
    return Given(Scalar(json.dumps(value) if isinstance(value, bool) else str(value)), where)
