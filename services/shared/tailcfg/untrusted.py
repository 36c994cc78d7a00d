"""Access to untrusted decoded JSON: members by name in any case, checked types, bounded sizes, cleaned text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from services.shared.tailcfg.errors import ClientRequestError

T = TypeVar("T")

MAX_TEXT = 255
"""Maximum characters kept of a text in a client's description of itself."""

_UNWANTED = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


def decode_object(body: bytes) -> dict[str, Any]:
    """Decode one JSON object.

    Raises:
        ClientRequestError: it is not JSON, not UTF-8, too deep, or not an object.
    """
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise ClientRequestError("not JSON") from None
    if not isinstance(value, dict):
        raise ClientRequestError("not a JSON object")
    return value


def clean_text(text: str, limit: int = MAX_TEXT) -> str:
    """Return text without control and format characters and surrogates, cut to `limit` characters."""
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    return _UNWANTED.sub("", text[: limit * 2])[:limit]


class JsonFields:
    """The members of one JSON object, found by name in any case. Null is the same as absent."""

    __slots__ = ("_members", "_where")

    def __init__(self, value: Mapping[str, Any], where: str = "") -> None:
        self._members = {name.lower(): member for name, member in value.items() if member is not None}
        self._where = where

    def raw(self, name: str) -> Any:
        """Return the member as decoded, or None."""
        return self._members.get(name.lower())

    def text(self, name: str, default: str = "", limit: int = MAX_TEXT) -> str:
        """Return a text, cleaned and cut."""
        return clean_text(self._typed(name, str, default), limit)

    def verbatim(self, name: str, limit: int) -> str:
        """Return a text unchanged; one above the limit is refused."""
        value = self._typed(name, str, "")
        if len(value) > limit:
            raise self.wrong(name, "is too long")
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a boolean, or the default if it is absent."""
        return self._typed(name, bool, default)

    def number(self, name: str, low: int, high: int, default: int = 0) -> int:
        """Return an integer within bounds."""
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.wrong(name, "is not a whole number")
        if not low <= value <= high:
            raise self.wrong(name, "is out of range")
        return value

    def parsed(self, name: str, parse: Callable[[str], T], default: T) -> T:
        """Return a text read by a parser that raises ValueError; empty counts as absent."""
        value = self._typed(name, str, "")
        if not value:
            return default
        try:
            return parse(value)
        except ValueError as error:
            raise self.wrong(name, f"is {error}") from None

    def items(self, name: str, limit: int) -> list[Any]:
        """Return an array, cut to the limit."""
        return self._typed(name, list, [])[:limit]

    def texts(self, name: str, limit: int, read: Callable[[str], str] = clean_text) -> tuple[str, ...]:
        """Return an array of texts, each read by a function that raises ValueError."""
        found: list[str] = []
        for item in self.items(name, limit):
            if not isinstance(item, str):
                raise self.wrong(name, "holds something that is not text")
            try:
                found.append(read(item))
            except ValueError as error:
                raise self.wrong(name, f"holds something that is {error}") from None
        return tuple(found)

    def object(self, name: str) -> JsonFields | None:
        """Return a nested object, or None."""
        value = self.raw(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.wrong(name, "is not an object")
        return JsonFields(value, f"{self._where}{name}.")

    def names(self) -> Iterable[str]:
        """Return the lower-case names of all members."""
        return self._members.keys()

    def members(self) -> Iterable[tuple[str, Any]]:
        """Lower-case names of the members that are present, with their values."""
        return self._members.items()

    def wrong(self, name: str, what: str) -> ClientRequestError:
        """Return the error that names a member."""
        return ClientRequestError(f"{self._where}{name} {what}")

    def _typed(self, name: str, kind: type[T], default: T) -> T:
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise self.wrong(name, f"is not {_KINDS[kind]}")
        return value


_KINDS: dict[type, str] = {str: "text", bool: "a truth value", list: "an array", dict: "an object"}
