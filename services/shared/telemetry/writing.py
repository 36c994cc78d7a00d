"""Rendering of a debug page's document as JSON, or as text for people. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from services.shared.telemetry.pages import Document

_INDENT = "  "


def wants_json(accept: str) -> bool:
    """Return whether an Accept header prefers JSON: it names JSON, and not after text."""
    ranges = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    for media in ranges:
        if media in ("application/json", "text/json"):
            return True
        if media.startswith("text/"):
            return False
    return False


def as_json(document: Document) -> str:
    """Return the document as indented JSON, for programs."""
    return json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n"


def as_text(document: Document) -> str:
    """Return the document as text: `name: value` lines, indented below their section; rows of equal keys as a table."""
    return "\n".join(_mapping(document, "")) + "\n"


def _mapping(values: Mapping[str, object], indent: str) -> list[str]:
    lines: list[str] = []
    for name, value in values.items():
        lines += _named(str(name), value, indent)
    return lines


def _named(name: str, value: object, indent: str) -> list[str]:
    if isinstance(value, Mapping):
        return [f"{indent}{name}:", *_mapping(value, indent + _INDENT)] if value else [f"{indent}{name}: none"]
    if isinstance(value, str) and "\n" in value:
        return [f"{indent}{name}: |", *(f"{indent}{_INDENT}{_plain(line)}" for line in value.splitlines())]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return _listed(name, value, indent)
    return [f"{indent}{name}: {_scalar(value)}"]


def _listed(name: str, items: Sequence[object], indent: str) -> list[str]:
    if not items:
        return [f"{indent}{name}: none"]
    inner = indent + _INDENT
    rows = [item for item in items if isinstance(item, Mapping)]
    if len(rows) == len(items):
        if all(row.keys() == rows[0].keys() and not any(map(_deep, row.values())) for row in rows):
            return [f"{indent}{name}:", *(inner + line for line in _table(rows))]
        lines = [f"{indent}{name}:"]
        for row in rows:
            first, *rest = _mapping(row, inner + _INDENT) or [f"{inner}{_INDENT}none"]
            lines += [f"{inner}- {first.strip()}", *rest]
        return lines
    return [f"{indent}{name}: " + ", ".join(_scalar(item) for item in items)]


def _table(rows: Sequence[Mapping[str, object]]) -> list[str]:
    heads = [str(name) for name in rows[0]]
    cells = [heads, *([_scalar(value) for value in row.values()] for row in rows)]
    widths = [max(len(row[number]) for row in cells) for number in range(len(heads))]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def _deep(value: object) -> bool:
    """Return whether a value is too deep for a table cell."""
    if isinstance(value, str):
        return "\n" in value
    if isinstance(value, Mapping):
        return bool(value)
    return isinstance(value, Sequence) and any(isinstance(item, Mapping) for item in value)


def _scalar(value: object) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return _plain(value)
    if isinstance(value, Mapping):
        return json.dumps(value, default=str)
    if isinstance(value, Sequence):
        return ", ".join(_scalar(item) for item in value) or "-"
    return str(value)


def _plain(text: str) -> str:
    """Return text without control characters: text that a device sent must not move the cursor of a terminal."""
    return (
        text
        if text.isprintable()
        else "".join(one if one.isprintable() or one == "\t" else "\N{REPLACEMENT CHARACTER}" for one in text)
    )
