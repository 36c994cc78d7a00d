"""A change of what a person may do here: what it is, whoever found out, and how far it is carried out.

It is written down before anything is done, so that a crash between this service and the registry only delays it. The
number orders the changes of a tailnet; the registry takes none that is older than the last one that it took of the
same person, so that doing one again, late, or in two instances at once is harmless.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from services.shared.ids import UserId

SUSPENDED = "this user is suspended; ask the administrator"
"""What the person reads, at the device and in the browser."""

MAX_REASON = 1000
MAX_ACTOR = 320


class RightsKind(Enum):
    """What happens to a person."""

    SUSPEND = "suspend"
    RESTORE = "restore"
    GROUPS = "groups"
    """One identity of theirs is in other groups now."""


class RightsSource(Enum):
    """Who found out. Each is one more caller of the same use case."""

    ADMINISTRATOR = "administrator"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True)
class IdentityGroups:
    """The groups of one identity, all of them, as our policies call them."""

    issuer: str
    subject: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecordedRightsChange:
    """One change of one person's rights."""

    user_id: UserId
    kind: RightsKind
    source: RightsSource
    created_at: datetime
    actor: str = ""
    reason: str = ""
    login: IdentityGroups | None = None
    """Only with `GROUPS`."""
    number: int = 0
    """Given when it is written down."""
