"""Posture attributes that administrators set on nodes: keys, values and the hosted service's limits of both."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from services.registry.model.errors import InvalidInputError
from services.shared.access.posture import attribute_text

Value = str | int | bool

PREFIX = "custom:"
MAX_ATTRIBUTES = 100
"""Of one node: policies read all of them."""
MAX_COMMENT = 200
_KEY = re.compile(r"custom:[A-Za-z0-9_:]{1,121}", re.ASCII)
_TEXT = re.compile(r"[A-Za-z0-9_.]{1,50}", re.ASCII)
_MAX_NUMBER = (1 << 53) - 1
"""The largest whole number that every JSON reader keeps."""


@dataclass(frozen=True, slots=True)
class CustomAttribute:
    """An attribute of one node."""

    key: str
    value: Value
    expiry: datetime | None = None
    """When it is removed; None: never."""
    comment: str = ""

    @property
    def text(self) -> str:
        """The value as policies compare it."""
        return attribute_text(self.value)


def check_attribute(attribute: CustomAttribute) -> None:
    """Check key, value and comment.

    Raises:
        InvalidInputError: one of them is not allowed.
    """
    check_key(attribute.key)
    value = attribute.value
    if isinstance(value, str) and not _TEXT.fullmatch(value):
        raise InvalidInputError(f"{attribute.key}: a text has 1 to 50 letters, digits, underscores and dots")
    if not isinstance(value, str) and abs(value) > _MAX_NUMBER:
        raise InvalidInputError(f"{attribute.key}: a number is at most {_MAX_NUMBER}")
    if len(attribute.comment) > MAX_COMMENT:
        raise InvalidInputError(f"comment: longer than {MAX_COMMENT} characters")


def check_key(key: str) -> None:
    """Check a key.

    Raises:
        InvalidInputError: it is not allowed.
    """
    if not _KEY.fullmatch(key):
        text = "begins with custom: and has letters, digits, underscores and colons, 128 characters in all"
        raise InvalidInputError(f"{key[:40]}: the key of an attribute {text}")


class AttributeKinds:
    """The spelling and the type that each key has in a tailnet, fixed by the first attribute with it."""

    def __init__(self, attributes: Iterable[CustomAttribute]) -> None:
        self._kinds: dict[str, tuple[str, type[Value]]] = {}
        for one in attributes:
            self._kinds.setdefault(one.key.lower(), (one.key, type(one.value)))

    def check(self, attribute: CustomAttribute) -> None:
        """Check that an attribute fits those of other nodes, and let it fix the spelling and type of a new key.

        Raises:
            InvalidInputError: another attribute has this key in another spelling, or with another type.
        """
        key, kind = self._kinds.setdefault(attribute.key.lower(), (attribute.key, type(attribute.value)))
        if key != attribute.key:
            raise InvalidInputError(f"{attribute.key}: differs from {key} in upper and lower case alone")
        if kind is not type(attribute.value):
            raise InvalidInputError(f"{key}: the other attributes with this key are {_NAMES[kind]}")


_NAMES: Mapping[type[Value], str] = {str: "texts", int: "numbers", bool: "true or false"}
