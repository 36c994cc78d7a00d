"""Lays out tables for a terminal: drops spare columns first, then wraps lists and long texts. Never cuts a value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

_GAP = 2
_TEXT = 24
"""Values up to this width stay on one line: times, names, ids. A longer one is a text, which may break at blanks."""
_COLOURS = {"online": "32", "offline": "31", "expired": "31", "suspended": "31"}
_LIST = re.compile(r"(?<=,) ")


def lines(
    heads: Sequence[str], rows: Sequence[Sequence[str]], room: int, spare: Sequence[str] = (), *, colours: bool
) -> Iterator[str]:
    """Yield the lines of a table.

    `room` is the width of the terminal in columns, 0 for no limit. `spare` names the columns to drop, first ones
    first. Ids, keys and addresses are longer than a line before they are cut.
    """
    cells = [list(heads), *([_clean(cell) for cell in row] for row in rows)]
    hidden: list[str] = []
    for head in spare:
        if not room or _sum(_least(cells)) <= room:
            break
        place = cells[0].index(head)
        hidden.append(head)
        for row in cells:
            del row[place]
    widths = _widths(cells, room)
    for number, row in enumerate(cells):
        columns = [_wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*columns, fillvalue=""):
            fitted = [part + " " * (width - _width(part)) for part, width in zip(parts, widths, strict=True)]
            if colours:
                fitted = [_painted(cell, head=number == 0) for cell in fitted]
            yield (" " * _GAP).join(fitted).rstrip()
    if hidden:
        note = f"(no room for {', '.join(hidden)}; -o json has all)"
        yield note if len(note) <= room else f"({len(hidden)} columns left out; -o json has all)"


def _widths(cells: Sequence[Sequence[str]], room: int) -> list[int]:
    """Return the width of each column: as wide as its values, or narrower where they may wrap."""
    widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
    least = _least(cells)
    while room and _sum(widths) > room and widths != least:
        widest = max((width, place) for place, width in enumerate(widths) if width > least[place])[1]
        widths[widest] -= 1
    return widths


def _least(cells: Sequence[Sequence[str]]) -> list[int]:
    """Return the width of the longest part of each column that stays on one line."""
    return [max(_width(part) for cell in column for part in _parts(cell)) for column in zip(*cells, strict=True)]


def _parts(cell: str) -> list[str]:
    """Split a cell where it may wrap: a list after its commas, a long text at its blanks."""
    found: list[str] = []
    for part in _LIST.split(cell):
        found += part.split(" ") if _width(part) > _TEXT else [part]
    return found


def _wrapped(cell: str, width: int) -> list[str]:
    if _width(cell) <= width:
        return [cell]
    made = [""]
    for part in _parts(cell):
        longer = f"{made[-1]} {part}" if made[-1] else part
        if _width(longer) <= width or not made[-1]:
            made[-1] = longer
        else:
            made.append(part)
    return made


def _sum(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _painted(cell: str, *, head: bool) -> str:
    code = "1" if head else _COLOURS.get(cell.rstrip())
    return f"\x1b[{code}m{cell}\x1b[0m" if code else cell


def _clean(cell: str) -> str:
    # Hostnames come from clients and must not send control characters to a terminal.
    return "".join(letter if letter.isprintable() else "�" for letter in cell)


def _width(text: str) -> int:
    return len(text) if text.isascii() else sum(map(_letter, text))


def _letter(letter: str) -> int:
    from unicodedata import combining, east_asian_width

    return 0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1
