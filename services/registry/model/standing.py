"""A user's standing (active or suspended) with author and reason, and the history of a user's attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from services.registry.model.errors import InvalidInputError
from services.registry.model.user import User, check_text
from services.shared.ids import UserId

MAX_REASON = 1000
KEPT = 50
"""Number of history entries stored for each attribute of a person."""
MAX_SHOWN = 2000
"""Maximum characters of a value in the history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The last change of a person's standing. Whether they are suspended now is in the user's record."""

    user_id: UserId
    number: int
    """Number of the last change applied; changes with a lower one are ignored."""
    since: datetime
    source: str = ""
    actor: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """A change of one attribute of a person, with its source."""

    user_id: UserId
    at: datetime
    attribute: str
    before: str
    after: str
    source: str
    """A provider's issuer, or the administrator."""


def changes(
    user_id: UserId, at: datetime, source: str, before: Mapping[str, str], after: Mapping[str, str]
) -> list[HistoryEntry]:
    """Return a history entry for each attribute that differs."""
    return [
        HistoryEntry(
            user_id=user_id,
            at=at,
            attribute=name,
            before=before.get(name, "")[:MAX_SHOWN],
            after=after[name][:MAX_SHOWN],
            source=source,
        )
        for name in after
        if before.get(name, "") != after[name]
    ]


def attributes(user: User | None) -> dict[str, str]:
    """Return the attributes of a user that history records."""
    if user is None:
        return {}
    return {
        "name": user.name,
        "email": user.email,
        "display_name": user.display_name,
        "picture": user.profile_pic_url,
        "role": user.role,
        "groups": ", ".join(user.groups),
    }


def by(source: str, actor: str = "") -> str:
    """Return the source of a change as the history shows it."""
    return f"{source} ({actor})" if actor else source


def check_attribution(source: str, actor: str, reason: str) -> None:
    """Check author and reason of a change.

    Raises:
        InvalidInputError: a text is missing, too long, or has control characters.
    """
    if not source:
        raise InvalidInputError("source must be given")
    check_text("source", source)
    check_text("actor", actor)
    check_text("reason", reason, MAX_REASON)
