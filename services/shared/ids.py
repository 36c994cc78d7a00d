"""Identifiers as types of their own, so that a checker refuses to swap two of them."""

from __future__ import annotations

import re
from typing import NewType

TailnetId = NewType("TailnetId", str)
NodeId = NewType("NodeId", int)
UserId = NewType("UserId", int)

DEFAULT_TAILNET = TailnetId("default")

TAGGED_DEVICES_USER = UserId(2147455555)
"""The synthetic owner of tagged nodes; Headscale's number, which its clients and UIs know."""

AUTH_ID_PREFIX = "hskey-authreq-"
_AUTH_ID = re.compile(rf"{AUTH_ID_PREFIX}[0-9A-Za-z_-]{{24}}", re.ASCII)


def is_auth_id(text: str) -> bool:
    """Return whether a text has the form of an auth id: that of Headscale 0.29, where callers may choose ids."""
    return _AUTH_ID.fullmatch(text) is not None
