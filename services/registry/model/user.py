"""The record of a user, a person in a tailnet, and the checks of its fields."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from services.registry.model.errors import InvalidInputError
from services.registry.model.text import clean_line
from services.shared.ids import UserId

_NAME = re.compile(r"[^\W\d_][\w.@-]*\Z")
MAX_NAME = 254
OWNER = "owner"
ROLES = ("owner", "admin", "network-admin", "it-admin", "billing-admin", "auditor", "member")
MAX_TEXT = 320
MAX_URL = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person in a tailnet."""

    id: UserId
    name: str
    created_at: datetime
    display_name: str = ""
    email: str = ""
    provider_id: str = ""
    """Issuer and subject at the provider; empty for a local user."""
    provider: str = ""
    profile_pic_url: str = ""
    role: str = "member"
    groups: tuple[str, ...] = ()
    suspended: bool = False


def check_name(name: str) -> str:
    """Return a user name that is allowed (Headscale's rules: OIDC-08).

    Raises:
        InvalidInputError: it is too short or too long, or has characters that names may not have.
    """
    if not 2 <= len(name) <= MAX_NAME:
        raise InvalidInputError(f"a user name has 2 to {MAX_NAME} characters")
    if not _NAME.match(name) or name.count("@") > 1:
        raise InvalidInputError("a user name starts with a letter, then has letters, digits, '-', '.', '_', one '@'")
    if name.endswith("@"):
        raise InvalidInputError(f"a user name does not end in '@': policies write {name} for the user {name[:-1]}")
    return name


def check_role(role: str) -> str:
    """Check a role.

    Raises:
        InvalidInputError: there is no such role.
    """
    if role not in ROLES:
        raise InvalidInputError(f"role: one of {', '.join(ROLES)}")
    return role


def check_text(what: str, value: str, limit: int = MAX_TEXT) -> str:
    """Return one line of text for people.

    Raises:
        InvalidInputError: it is too long or has control characters.
    """
    if len(value) > limit or clean_line(value) != value:
        raise InvalidInputError(f"{what} is one line of at most {limit} characters without control characters")
    return value


def check_url(what: str, value: str) -> str:
    """Return an absolute http(s) URL, or nothing.

    Raises:
        InvalidInputError: it is something else; clients fail on such (tailscale-rs parses it).
    """
    if not value:
        return ""
    check_text(what, value, MAX_URL)
    try:
        parts = urlsplit(value)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        valid = False
    if not valid or any(mark in value for mark in ' "<>\\^`{|}'):
        raise InvalidInputError(f"{what} is an absolute http or https URL")
    return value
