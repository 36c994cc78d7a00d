"""JSON and YAML texts to plain values, within bounds of size, depth and number. Knows no document's meaning.

A document that is read here can be encoded as JSON: keys are text, integers have 64 bits at most, floats are finite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import orjson
import yaml

MAX_BYTES: Final = 4 << 20
"""Bytes of a document; the largest public DERP map has 60 KiB."""
MAX_DEPTH: Final = 32
MAX_VALUES: Final = 200_000

_Loader: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class DocumentError(ValueError):
    """A document cannot be used at all; the text is the reason, with the line where one is known."""


@dataclass(frozen=True, slots=True)
class DocumentFinding:
    """One part of a document that cannot be used, and why."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place} {self.reason}"


def read_json(data: bytes) -> object:
    """Decode JSON.

    Raises:
        DocumentError: it is too large or too deep, or no JSON.
    """
    _check_size(data)
    try:
        value: object = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise DocumentError(f"is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise DocumentError("is nested too deeply") from None
    return _checked(value)


def read_yaml(data: bytes) -> object:
    """Decode YAML. Anchors are refused: a few bytes of them can stand for any number of values.

    Raises:
        DocumentError: it is too large or too deep, has anchors, or is no YAML.
    """
    _check_size(data)
    try:
        _check_events(data)
        value: object = yaml.load(data, Loader=_Loader)  # noqa: S506  (a safe loader, in C where there is one)
    except yaml.MarkedYAMLError as error:
        raise DocumentError(f"is not YAML: {error.problem or error.context}{_line(error.problem_mark)}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise DocumentError("is not YAML in UTF-8") from None
    except (ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, DocumentError):
            raise
        raise DocumentError("holds a value that cannot be read") from None
    return _checked(value)


def _check_size(data: bytes) -> None:
    if len(data) > MAX_BYTES:
        raise DocumentError(f"is larger than {MAX_BYTES >> 20} MiB")


def _check_events(data: bytes) -> None:
    """Bound depth before anything recurses, and refuse aliases before anything follows them."""
    depth = 0
    for event in yaml.parse(data, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            raise DocumentError(f"uses an anchor{_line(event.start_mark)}; write the values out")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise DocumentError(f"is nested deeper than {MAX_DEPTH} levels{_line(event.start_mark)}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _line(mark: object) -> str:
    number = getattr(mark, "line", None)
    return "" if number is None else f" (line {number + 1})"


def _checked(root: object) -> object:
    """Return the value with text as keys.

    Raises:
        DocumentError: something in it has no place in JSON, or there is too much of it.
    """
    budget = [MAX_VALUES]

    def walk(value: object, depth: int) -> object:
        budget[0] -= 1
        if budget[0] < 0:
            raise DocumentError(f"has more than {MAX_VALUES} values")
        if depth > MAX_DEPTH:
            raise DocumentError(f"is nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, dict):
            return {_key(name): walk(item, depth + 1) for name, item in value.items()}
        if isinstance(value, list):
            return [walk(item, depth + 1) for item in value]
        return _scalar(value)

    return walk(root, 0)


def _key(name: object) -> str:
    if isinstance(name, str | int) and not isinstance(name, bool):
        return str(name)[:100]
    return repr(name)[:100]


def _scalar(value: object) -> object:
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, int | float):
        raise DocumentError("holds a number that is out of range")
    return str(value)  # a date, which YAML makes of text
