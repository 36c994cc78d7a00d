"""Reads from a client's Hostinfo what a login needs. The registry reads and cleans the rest."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import msgspec

from services.auth.model.errors import InvalidInputError
from services.auth.model.tag import read_tags

MAX_HOSTINFO = 64 << 10
"""Bytes of Hostinfo that are accepted; clients send 1 to 4 thousand."""

MAX_SHOWN = 64
"""Characters of a name that are shown to a person."""


@dataclass(frozen=True, slots=True)
class DeviceDescription:
    """A client's description of itself, cleaned for display."""

    hostname: str = ""
    os: str = ""
    tags: tuple[str, ...] = ()
    """The tags it asks for, checked for form only."""
    tag_problem: str = ""
    """Why its tags are malformed, for the person at the client; empty: they are not."""


def read_device(hostinfo: bytes) -> DeviceDescription:
    """Read Hostinfo; members that are missing or of another type count as empty, unknown ones are ignored.

    Raises:
        InvalidInputError: too large, or not a JSON object.
    """
    if len(hostinfo) > MAX_HOSTINFO:
        raise InvalidInputError(f"hostinfo is larger than {MAX_HOSTINFO} bytes")
    if not hostinfo:
        return DeviceDescription()
    try:
        document = msgspec.json.decode(hostinfo)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidInputError("hostinfo is not JSON") from None
    if document is None:
        return DeviceDescription()
    if not isinstance(document, dict):
        raise InvalidInputError("hostinfo is not a JSON object")
    members = {str(name).lower(): value for name, value in document.items()}  # Go and Rust spell members differently
    tags, problem = _tags(members.get("requesttags"))
    return DeviceDescription(
        hostname=shown(members.get("hostname")),
        os=shown(" ".join(filter(None, (_text(members.get("os")), _text(members.get("osversion")))))),
        tags=tags,
        tag_problem=problem,
    )


def shown(value: object) -> str:
    """Clean a client's text for display: one line of at most 64 characters, without control and format characters."""
    kept = "".join(" " if char.isspace() else char for char in _text(value)[: 8 * MAX_SHOWN])
    kept = "".join(char for char in kept if unicodedata.category(char)[0] != "C")
    words = " ".join(kept.split())
    return words if len(words) <= MAX_SHOWN else words[: MAX_SHOWN - 1] + "…"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _tags(value: object) -> tuple[tuple[str, ...], str]:
    if value is None:
        return (), ""
    if not isinstance(value, list) or not all(isinstance(tag, str) for tag in value):
        return (), "requested tags are not a list of texts"
    try:
        return read_tags(value), ""
    except InvalidInputError as error:
        return (), f"requested tags are invalid: {error}"
