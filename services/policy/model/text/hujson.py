"""Reader of HuJSON: JSON with `//` and `/* */` comments and trailing commas. Text in, a tree with positions out."""

from __future__ import annotations

import re
from json import JSONDecodeError
from json.decoder import scanstring  # type: ignore[attr-defined]  # the parser behind json.loads, left out of its stubs

from services.policy.model.text.problems import SyntaxProblem
from services.policy.model.text.tree import Budget, Number, ObjectMember, Value, check_text

_BLANK = re.compile(r"[ \t\r\n]+")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS = {"true": True, "false": False, "null": None}
_MAX_NUMBER = 300


def read_hujson(text: str) -> Value:
    """Read a whole document. Raises `SyntaxProblem`."""
    reader = _Reader(text)
    value = reader.value(reader.blank(0), 1)
    end = reader.blank(reader.position)
    if end != len(text):
        raise reader.unexpected("unexpected text after the end of the policy", end)
    return value


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._budget = Budget()
        self.position = 0

    def blank(self, at: int) -> int:
        """Skip white space and comments; the place of what follows."""
        text = self._text
        while at < len(text):
            if text[at] in " \t\r\n":
                found = _BLANK.match(text, at)
                at = found.end() if found else at + 1
            elif text.startswith("//", at):
                end = text.find("\n", at)
                at = len(text) if end < 0 else end + 1
            elif text.startswith("/*", at):
                end = text.find("*/", at + 2)
                if end < 0:
                    raise SyntaxProblem("comment is not closed", at)
                at = end + 2
            else:
                break
        return at

    def unexpected(self, message: str, at: int) -> SyntaxProblem:
        """Return the problem at a place, with a remedy for comments and quotes of other languages."""
        found = self._text[at : at + 1]
        if found == "#":
            message = f'{message}, got "#": comments are // or /* */'
        elif found == "'":
            message = f"{message}, got a single quote: text stands in double quotes"
        return SyntaxProblem(message, at)

    def value(self, at: int, depth: int) -> Value:
        """Read the value at a place; `position` is left behind it."""
        self._budget.spend(at, depth)
        if at >= len(self._text):
            raise SyntaxProblem("the policy ends where a value was expected", at)
        first = self._text[at]
        if first == "{":
            return self._object(at, depth)
        if first == "[":
            return self._list(at, depth)
        if first == '"':
            return Value(self._string(at), at)
        if found := _NUMBER.match(self._text, at):
            if found.end() - at > _MAX_NUMBER:
                raise SyntaxProblem(f"number is longer than {_MAX_NUMBER} characters", at)
            self.position = found.end()
            return Value(Number(found.group()), at)
        if (found := _WORD.match(self._text, at)) and found.group() in _WORDS:
            self.position = found.end()
            return Value(_WORDS[found.group()], at)
        raise self.unexpected("expected a value here", at)

    def _string(self, at: int) -> str:
        try:
            read: tuple[str, int] = scanstring(self._text, at + 1, True)
        except JSONDecodeError as error:
            raise SyntaxProblem(
                f"bad string: {error.msg.lower().removesuffix(' at').removesuffix(' starting')}", error.pos
            ) from None
        text, self.position = read
        check_text(text, at)
        return text

    def _list(self, at: int, depth: int) -> Value:
        items: list[Value] = []
        place = self.blank(at + 1)
        while not self._closes(place, "]", at):
            items.append(self.value(place, depth + 1))
            self._budget.check_length(len(items), at)
            place = self._separator("]")
        self.position = place + 1
        return Value(items, at)

    def _object(self, at: int, depth: int) -> Value:
        entries: list[ObjectMember] = []
        place = self.blank(at + 1)
        while not self._closes(place, "}", at):
            if self._text[place] != '"':
                raise self.unexpected("expected a name in double quotes", place)
            key = self._string(place)
            colon = self.blank(self.position)
            if not self._text.startswith(":", colon):
                raise SyntaxProblem("expected a colon after a name", colon)
            entries.append(ObjectMember(key, place, self.value(self.blank(colon + 1), depth + 1)))
            self._budget.check_length(len(entries), at)
            place = self._separator("}")
        self.position = place + 1
        return Value(tuple(entries), at)

    def _closes(self, place: int, bracket: str, opened: int) -> bool:
        if place >= len(self._text):
            raise SyntaxProblem("list is not closed" if bracket == "]" else "object is not closed", opened)
        return self._text[place] == bracket

    def _separator(self, bracket: str) -> int:
        """Move from an item to the next one, or to the closing bracket, which a comma may precede."""
        place = self.blank(self.position)
        if self._text.startswith(",", place):
            return self.blank(place + 1)
        if place < len(self._text) and self._text[place] != bracket:
            raise self.unexpected(f"expected a comma or {bracket!r} here", place)
        return place
