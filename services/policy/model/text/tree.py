"""The tree of a document's values with their positions, common to HuJSON and YAML, and its size limits."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from services.policy.model.text.problems import SyntaxProblem

MAX_TEXT = 2 << 20
"""Maximum number of characters in a document."""
MAX_DEPTH = 32
"""Maximum depth of nesting."""
MAX_ITEMS = 50_000
"""Maximum number of items in a list or object."""
MAX_VALUES = 400_000
"""Maximum number of values in a document, of any kind."""

_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9]\d{0,300})(?:\.\d{1,300})?(?:[eE][+-]?\d{1,3})?", re.ASCII)


class Number(str):
    """A number as it was written."""

    __slots__ = ()


class Plain(str):
    """A YAML scalar without quotes: text here, but in application capabilities it may stand for another type."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class ObjectMember:
    """One member of an object."""

    key: str
    at: int
    value: Value


@dataclass(frozen=True, slots=True)
class Value:
    """One value: None, a bool, a `Number`, text, a list of values, or a tuple of entries for an object."""

    data: bool | str | list[Value] | tuple[ObjectMember, ...] | None
    at: int

    @property
    def kind(self) -> str:
        """Return the name of the value's type, for messages."""
        match self.data:
            case None:
                return "null"
            case bool():
                return "boolean"
            case Number():
                return "number"
            case str():
                return "string"
            case list():
                return "list"
            case _:
                return "object"


class Budget:
    """Counter of values during parsing; limits the size of the tree that a text can produce."""

    def __init__(self) -> None:
        self._left = MAX_VALUES

    def spend(self, at: int, depth: int) -> None:
        """Account for one value. Raises `SyntaxProblem` when a limit is passed."""
        self._left -= 1
        if self._left < 0:
            raise SyntaxProblem(f"the policy has more than {MAX_VALUES} values", at)
        if depth > MAX_DEPTH:
            raise SyntaxProblem(f"nesting is deeper than {MAX_DEPTH} levels", at)

    @staticmethod
    def check_length(length: int, at: int) -> None:
        """Refuse a list or object that is too long."""
        if length > MAX_ITEMS:
            raise SyntaxProblem(f"more than {MAX_ITEMS} items in one list or object", at)


def check_text(text: str, at: int) -> None:
    """Refuse text that cannot be stored or sent: half of a surrogate pair, or NUL."""
    if _UNUSABLE.search(text):
        raise SyntaxProblem("text contains a character that is not valid Unicode", at)


def to_json(value: Value) -> object:
    """Return the value as Python data for JSON; plain YAML scalars are typed by JSON's rules."""
    data = value.data
    if isinstance(data, (Number, Plain)):
        return _scalar(str(data)) if _JSON_NUMBER.fullmatch(data) or data in _WORDS else str(data)
    if isinstance(data, list):
        return [to_json(item) for item in data]
    if isinstance(data, tuple):
        return {entry.key: to_json(entry.value) for entry in data}
    return data


_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}


def _scalar(text: str) -> object:
    if text in _WORDS:
        return _WORDS[text]
    number: object = json.loads(text)
    if isinstance(number, float) and number in (float("inf"), float("-inf")):
        return text
    return number
