"""How answers are printed: tables for people, JSON and YAML for programs.

The data shape is that of the REST API (protojson): lowerCamelCase, ids as strings, times in RFC 3339.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from google.protobuf.timestamp_pb2 import Timestamp

FORMATS = ("json", "json-line", "yaml")


def data(message: Message) -> Any:
    """A message as plain data, with every field present."""
    from google.protobuf.json_format import MessageToDict

    return MessageToDict(message, always_print_fields_with_no_presence=True)


def emit(value: Any, style: str) -> None:
    """Print data in one of FORMATS."""
    if style == "yaml":
        import yaml

        sys.stdout.write(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))
        return
    import json

    if style == "json-line":
        for line in value if isinstance(value, list) else [value]:
            sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    else:
        sys.stdout.write(json.dumps(value, indent="\t", ensure_ascii=False) + "\n")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table that fits the terminal: the widest column is cut where the line would be too long."""
    cells = [list(heads), *([_clean(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    room = columns() if sys.stdout.isatty() else 10_000
    gap = 2
    while sum(widths) + gap * (len(widths) - 1) > room and max(widths) > 8:
        widths[widths.index(max(widths))] -= 1
    for number, row in enumerate(cells):
        line = (" " * gap).join(_fit(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()
        sys.stdout.write((bold(line) if number == 0 else line) + "\n")


def bold(text: str) -> str:
    """Emphasis, where the output is a terminal that wants it."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty()
    return text if plain else f"\x1b[1m{text}\x1b[0m"


def when(moment: Timestamp | None, *, absent: str = "-") -> str:
    """A time for people, in UTC."""
    if moment is None or (not moment.seconds and not moment.nanos):
        return absent
    at = time.gmtime(moment.seconds)
    return "{:04}-{:02}-{:02} {:02}:{:02}:{:02}".format(*at[:6])


@cache
def columns() -> int:
    """The width of the terminal."""
    with suppress(ValueError):
        return max(int(os.environ.get("COLUMNS", "")), 40)
    with suppress(OSError):
        return max(os.get_terminal_size(sys.stdout.fileno()).columns, 40)
    return 100


def _clean(cell: str) -> str:
    # Hostnames come from clients: nothing of theirs may move a cursor or colour a terminal.
    return "".join(letter if letter.isprintable() else "�" for letter in cell)


def _fit(cell: str, width: int) -> str:
    return cell.ljust(width) if len(cell) <= width else cell[: width - 1] + "…"
