"""A change of a user's rights: suspend, restore, or other groups of one identity.

It is recorded before it is applied, so that a crash between this service and the registry only delays it. The number
orders the changes of a tailnet; the registry ignores a change that is older than the last one of the same user, so
applying one again, late, or in two instances at once is harmless.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from services.shared.ids import UserId

SUSPENDED = "this user is suspended; ask the administrator"
"""Shown to the person at the device and in the browser."""

MAX_REASON = 1000
MAX_ACTOR = 320


class RightsKind(Enum):
    """The kind of a change."""

    SUSPEND = "suspend"
    RESTORE = "restore"
    GROUPS = "groups"
    """The groups of one identity of the user change."""


class RightsSource(Enum):
    """Where a change comes from."""

    ADMINISTRATOR = "administrator"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class IdentityGroups:
    """All groups of one identity, by our names."""

    issuer: str
    subject: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecordedRightsChange:
    """A change of one user's rights."""

    user_id: UserId
    kind: RightsKind
    source: RightsSource
    created_at: datetime
    actor: str = ""
    reason: str = ""
    login: IdentityGroups | None = None
    """Only with `GROUPS`."""
    number: int = 0
    """Assigned by the table; 0 before."""
