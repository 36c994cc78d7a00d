"""Canonical layout of a HuJSON document, as the official formatter has it, for the entity tags of `version`. Pure.

The entity tag of a policy is the digest of this form, because GitOps programs format their copy before they compare.

    one line    {"a": 1, "b": [1, 2]}            no space inside the brackets, no trailing comma
    expanded    a member per line, one tab deeper; values of neighbouring short members stand in one column

A composite is expanded if a line breaks at its start, after a comma or at its end, or if one of its lines would be
longer than 80 bytes. Trailing commas are written only if the document is not plain JSON: it has a comment or such a
comma.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from services.policy.model.text.gaps import Gap, Widths, arranged, widths_of
from services.policy.model.text.hujson import read_hujson

_LINE = 80
"""Maximum bytes of a line of a composite in one line, counted with a comma and a space after each item."""
_EXTRA = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_LITERAL = re.compile(r"[^\s,\]}/]+")
_INNER = Gap(blank_start=False, blank_end=False)
_BEFORE_VALUE = Gap(blank_start=False, blank_end=False, never_empty=True)


@dataclass(slots=True)
class _Item:
    """A value, or a member of an object, with the white space and comments around it."""

    before: str
    value: _Composite | str
    after: str = ""
    name: str = ""
    """The name of a member, quoted; empty in an array."""
    after_name: str = ""
    before_value: str = ""

    @property
    def extras(self) -> tuple[str, ...]:
        """All white space and comments of the item itself."""
        return self.before, self.after_name, self.before_value, self.after


@dataclass(slots=True)
class _Composite:
    """An object or an array."""

    opening: str
    items: list[_Item] = field(default_factory=list)
    end: str = ""
    """White space and comments before the closing bracket."""
    trailing: bool = False
    """True if a comma follows the last item."""
    expanded: bool = False


def canonical(text: str) -> str:
    """Return a document in canonical layout.

    Raises:
        SyntaxProblem: it is no HuJSON.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\n\r", "\n").replace("\r", " ")
    read_hujson(text)
    root = _Parser(text).document()
    plain = not any("/" in extra for extra in root.extras) and _is_plain(root.value)
    _normalize(root.value)
    _measure(root.value)
    _arrange(root.value, 0, plain=plain)
    _align(root.value)
    head, foot = arranged(root.before, 0).lstrip(" \t\n"), arranged(root.after, 0)
    return (head + "".join(_written(root.value)) + foot).rstrip() + "\n"


class _Parser:
    """Splits a valid document into values and what stands between them."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def document(self) -> _Item:
        """Read the whole document."""
        return _Item(self._next(_EXTRA), self._value(), self._next(_EXTRA))

    def _next(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        token = found.group() if found else ""
        self._at += len(token)
        return token

    def _value(self) -> _Composite | str:
        first = self._text[self._at]
        if first == '"':
            return _minimal(self._next(_STRING))
        if first not in "{[":
            return self._next(_LITERAL)
        self._at += 1
        found = _Composite(first)
        while True:
            before = self._next(_EXTRA)
            if self._text[self._at] in "}]":
                self._at += 1
                found.end += before
                return found
            found.items.append(self._item(before, named=first == "{"))
            found.trailing = self._text[self._at] == ","
            self._at += found.trailing
            if not found.trailing:
                found.end, found.items[-1].after = found.items[-1].after, ""

    def _item(self, before: str, *, named: bool) -> _Item:
        if not named:
            return _Item(before, self._value(), self._next(_EXTRA))
        name, after_name = _minimal(self._next(_STRING)), self._next(_EXTRA)
        self._at += 1  # the colon
        before_value, value = self._next(_EXTRA), self._value()
        return _Item(before, value, self._next(_EXTRA), name, after_name, before_value)


def _minimal(literal: str) -> str:
    """Return a string literal with only the escapes that JSON requires."""
    return json.dumps(json.loads(literal), ensure_ascii=False) if "\\" in literal else literal


def _is_plain(value: _Composite | str) -> bool:
    """Return whether a value is JSON, without comments and trailing commas."""
    if isinstance(value, str):
        return True
    if value.trailing or "/" in value.end:
        return False
    return all(not any("/" in extra for extra in item.extras) and _is_plain(item.value) for item in value.items)


def _normalize(value: _Composite | str) -> None:
    """Drop white space without comments from empty composites and from before commas and colons."""
    if isinstance(value, str):
        return
    if not value.items and "/" not in value.end:
        value.end = ""
    for item in value.items:
        if "/" not in item.after:
            item.after = ""
        if "/" not in item.after_name:
            item.after_name = ""
        _normalize(item.value)


def _measure(value: _Composite | str) -> Widths:
    """Decide which composites are expanded, inner ones first. Returns the widths of the value's lines."""
    if isinstance(value, str):
        return Widths.of(_bytes(value))
    widths = Widths.of(1)
    for item in value.items:
        widths.add(widths_of(item.before))
        if item.name:
            widths.add(_measure(item.name))
            widths.add(widths_of(item.after_name))
            widths.add(Widths.of(2))
            widths.add(widths_of(item.before_value))
        widths.add(_measure(item.value))
        widths.add(widths_of(item.after))
        widths.add(Widths.of(2))
    widths.add(Widths.of(1))
    breaks = (*(item.before for item in value.items), *(item.after for item in value.items[-1:]), value.end)
    value.expanded = any("\n" in extra for extra in breaks) or max(widths.lines) > _LINE
    if not value.expanded:
        return widths
    first = value.items[0].before if value.items else value.end
    return Widths([1 + widths_of(first).lines[0], 1])


def _arrange(value: _Composite | str, depth: int, *, plain: bool) -> None:
    """Replace white space and comments by their canonical form; `depth` is the indentation of the value's line."""
    if isinstance(value, str):
        return
    for number, item in enumerate(value.items):
        later = number > 0
        before = Gap(breaks=value.expanded, blank_start=later, never_empty=later)
        item.before = arranged(item.before, depth + 1, before)
        deeper = depth + value.expanded
        if item.name:
            item.after_name = arranged(item.after_name, depth + 2, _INNER)
            item.before_value = arranged(item.before_value, depth + 2, _BEFORE_VALUE)
            deeper += "\n" in item.after_name or "\n" in item.before_value
        _arrange(item.value, deeper, plain=plain)
        item.after = arranged(item.after, depth + 2, _INNER)
    value.end = arranged(
        value.end, depth + 1, Gap(closes=True, ends_line=value.expanded, blank_start=bool(value.items), blank_end=False)
    )
    if value.expanded and not plain:
        value.trailing = bool(value.items)
    elif not value.expanded and not (value.items and value.items[-1].after and value.end):
        value.trailing = False


def _align(value: _Composite | str) -> None:
    """Put the values of neighbouring members into one column: those of one line each, without a blank line between."""
    if isinstance(value, str):
        return
    rows: list[_Item] = []
    for item in value.items:
        if not item.name:
            continue
        alone = "\n" not in item.before or _breaks(item)
        if alone or item.before.count("\n") > 1:
            _pad(rows)
            rows = []
        if not alone:
            rows.append(item)
    _pad(rows)
    for item in value.items:
        _align(item.value)


def _breaks(item: _Item) -> bool:
    """Return whether a member has a line break after its name. Comments alone inside a composite do not count."""
    if any("\n" in extra for extra in (item.after_name, item.before_value, item.after)):
        return True
    return not isinstance(item.value, str) and any("\n" in one.before or _breaks(one) for one in item.value.items)


def _pad(rows: list[_Item]) -> None:
    """Extend the space before each value up to the column of the longest name."""
    widths = [_bytes(item.name + item.after_name + item.before_value) for item in rows]
    column = max(widths, default=0)
    for item, width in zip(rows, widths, strict=True):
        item.before_value += " " * (column - width)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _written(value: _Composite | str) -> Iterator[str]:
    """Yield the text of an arranged value."""
    if isinstance(value, str):
        yield value
        return
    yield value.opening
    for number, item in enumerate(value.items):
        yield item.before
        if item.name:
            yield f"{item.name}{item.after_name}:{item.before_value}"
        yield from _written(item.value)
        yield item.after
        if value.trailing or number < len(value.items) - 1:
            yield ","
    yield value.end
    yield "}" if value.opening == "{" else "]"
