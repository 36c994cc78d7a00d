"""A person's standing, who changed it and why, and the history of what is known of a person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.registry.model.errors import InvalidInputError
from services.registry.model.user import check_text
from services.shared.ids import UserId

MAX_REASON = 1000
KEPT = 200
"""Entries of history that are kept of each person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The last change of a person's standing; whether they are suspended says the user's record."""

    user_id: UserId
    number: int
    """Of the last change that was taken; older ones come too late."""
    since: datetime
    source: str = ""
    actor: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One attribute of a person became another, by somebody's word."""

    user_id: UserId
    at: datetime
    attribute: str
    before: str
    after: str
    source: str
    """A provider's issuer, or who among us changed it."""


def check_said(source: str, actor: str, reason: str) -> None:
    """Refuse what cannot be kept with a change.

    Raises:
        InvalidInputError: a text is missing, too long, or has control characters.
    """
    if not source:
        raise InvalidInputError("source must be said")
    check_text("source", source)
    check_text("actor", actor)
    check_text("reason", reason, MAX_REASON)
