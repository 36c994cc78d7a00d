"""Tables that fit the terminal: columns that can be spared go first, then the widest cells are cut."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

_GAP = 2
_NARROW = 6
_COLOURS = {"online": "32", "offline": "31", "expired": "31"}


def lines(
    heads: Sequence[str], rows: Sequence[Sequence[str]], room: int, spare: Sequence[str] = (), *, colours: bool
) -> Iterator[str]:
    """The lines of a table in so many columns; 0: in as many as it needs."""
    cells = [list(heads), *([_clean(cell) for cell in row] for row in rows)]
    hidden: list[str] = []
    for head in spare:
        if not room or _least(cells) <= room:
            break
        place = cells[0].index(head)
        hidden.append(head)
        for row in cells:
            del row[place]
    widths = [max(_width(row[column]) for row in cells) for column in range(len(cells[0]))]
    while room and _sum(widths) > room and max(widths) > _NARROW:
        widths[widths.index(max(widths))] -= 1
    for number, row in enumerate(cells):
        fitted = [_fit(cell, width) for cell, width in zip(row, widths, strict=True)]
        if colours:
            fitted = [_painted(cell, head=number == 0) for cell in fitted]
        yield (" " * _GAP).join(fitted).rstrip()
    if hidden:
        told = f"(no room for {', '.join(hidden)}; -o json has all)"
        yield told if len(told) <= room else f"({len(hidden)} columns left out; -o json has all)"


def _least(cells: Sequence[Sequence[str]]) -> int:
    """The room that all columns need when they are as narrow as can still be read."""
    columns = range(len(cells[0]))
    return _sum([min(max(_width(row[column]) for row in cells), 12) for column in columns])


def _sum(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _painted(cell: str, *, head: bool) -> str:
    code = "1" if head else _COLOURS.get(cell.rstrip())
    return f"\x1b[{code}m{cell}\x1b[0m" if code else cell


def _clean(cell: str) -> str:
    # Hostnames come from clients: nothing of theirs may move a cursor or colour a terminal.
    return "".join(letter if letter.isprintable() else "�" for letter in cell)


def _width(text: str) -> int:
    return len(text) if text.isascii() else sum(map(_letter, text))


def _letter(letter: str) -> int:
    from unicodedata import combining, east_asian_width

    return 0 if combining(letter) else 2 if east_asian_width(letter) in "WF" else 1


def _fit(text: str, width: int) -> str:
    if _width(text) > width:
        while text and _width(text) > width - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (width - _width(text))
