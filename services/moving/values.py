"""Single values as Headscale's databases hold them, in the forms of SQLite and of PostgreSQL. Pure.

never       NULL, or the year 1 in any form
time        text with up to nine digits of fraction and any offset (SQLite), or a datetime (PostgreSQL)
list        JSON in a text or in a BLOB; NULL, `[]` and `null` are the empty list
flag        0 and 1 (SQLite), or a boolean (PostgreSQL); NULL is false
key         64 hex digits, bare up to 0.22, with their prefix since
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TypeVar

import orjson

from services.shared.keys import KeyFormatError, PublicKey

Key = TypeVar("Key", bound=PublicKey)

NO_STRINGS: tuple[str, ...] = ()

GREATEST = 1 << 53
"""Greatest accepted id (2^53 - 1): beyond it JavaScript cannot distinguish ids."""

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d+))?\s*(Z|[+-]\d\d:?\d\d)?(?:\s+[A-Z]+)?(?:\s+m=\S+)?\Z", re.ASCII
)


class MalformedError(ValueError):
    """A value has a form that no release writes; the text says which, without the value."""


def integer(value: object) -> int:
    """Read an id; NULL is 0."""
    if value is None:
        return 0
    if isinstance(value, str) and re.match(r"-?\d{1,18}\Z", value.strip(), re.ASCII):
        value = int(value)
    if not isinstance(value, int):
        raise MalformedError("is no number")
    if not -GREATEST <= value <= GREATEST:
        raise MalformedError("is out of range")
    return value


def text(value: object) -> str:
    """Read a text; NULL is empty."""
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("utf-8", "replace")
    return value if isinstance(value, str) else str(value)


def flag(value: object) -> bool:
    """Read a boolean; NULL is false."""
    if isinstance(value, str):
        return value.strip().lower() in ("1", "true", "t")
    return bool(value)


def moment(value: object) -> datetime | None:
    """Read a time in UTC; None for a time that means "never"."""
    if value is None or value == "":
        return None
    if not isinstance(value, datetime):
        value = _moment_of_text(text(value).strip())
    if value.year <= 1:
        return None
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise MalformedError("is no time of our calendar") from None


def _moment_of_text(written: str) -> datetime:
    match = _TIME.match(written)
    if match is None:
        raise MalformedError("is no time")
    day, clock, fraction, zone = match.groups()
    zone = "+00:00" if zone in (None, "Z") else zone
    try:
        return datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}{zone}")
    except ValueError:
        raise MalformedError("is no time") from None


def strings(value: object) -> tuple[str, ...]:
    """Read a JSON list of texts."""
    written = text(value).strip()
    if not written:
        return ()
    try:
        found = orjson.loads(written)
    except orjson.JSONDecodeError:
        raise MalformedError("is no JSON list") from None
    if found is None:
        return ()
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise MalformedError("is no JSON list of texts")
    return tuple(found)


def key(kind: type[Key], value: object) -> Key:
    """Read a public key, with or without its prefix; NULL and empty are the zero key."""
    written = text(value).strip()
    if not written:
        return kind.zero()
    try:
        return kind.parse(written if ":" in written else kind.prefix + written)
    except KeyFormatError:
        raise MalformedError(f"is no {kind.__name__}") from None
