"""A device as a person sees it before they approve its login. Reads no JSON itself: `tailcfg.hostinfo` does."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from services.auth.model.errors import InvalidInputError
from services.auth.model.tag import read_tags
from services.shared.tailcfg.errors import ClientRequestError
from services.shared.tailcfg.hostinfo import load_hostinfo

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
    """Read what a login shows and checks of a hostinfo that the gateway cleaned.

    Raises:
        InvalidInputError: too large, or not such a hostinfo.
    """
    if len(hostinfo) > MAX_HOSTINFO:
        raise InvalidInputError(f"hostinfo is larger than {MAX_HOSTINFO} bytes")
    try:
        info = load_hostinfo(hostinfo)
    except ClientRequestError:
        raise InvalidInputError("hostinfo is not JSON as the gateway makes it") from None
    tags, problem = _tags(info.request_tags)
    return DeviceDescription(
        hostname=shown(info.hostname),
        os=shown(f"{info.os} {info.os_version}"),
        tags=tags,
        tag_problem=problem,
    )


def shown(text: str) -> str:
    """Clean a client's text for display: one line of at most 64 characters, without control and format characters."""
    kept = "".join(" " if char.isspace() else char for char in text[: 8 * MAX_SHOWN])
    kept = "".join(char for char in kept if unicodedata.category(char)[0] != "C")
    words = " ".join(kept.split())
    return words if len(words) <= MAX_SHOWN else words[: MAX_SHOWN - 1] + "…"


def _tags(requested: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    try:
        return read_tags(requested), ""
    except InvalidInputError as error:
        return (), f"requested tags are invalid: {error}"
