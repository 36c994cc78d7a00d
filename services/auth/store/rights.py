"""Protocol of the table of recorded changes of user rights."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from services.auth.model.login import AuthId
from services.auth.model.oidc.refusal import RefusalReason
from services.auth.model.rights import RecordedRightsChange
from services.shared.ids import UserId


class RightsStore(Protocol):
    """The table of recorded changes of user rights."""

    async def append(self, change: RecordedRightsChange) -> RecordedRightsChange:
        """Insert a change and return it with its number."""
        ...

    async def unfinished(self) -> tuple[RecordedRightsChange, ...]:
        """List changes that were not applied yet, the oldest first, at most 100."""
        ...

    async def mark_done(self, change: RecordedRightsChange, now: datetime) -> None:
        """Record that a change was applied."""
        ...

    async def refuse_logins(self, user_id: UserId, reason: RefusalReason, text: str) -> tuple[AuthId, ...]:
        """Reject logins and checks that a user approved or is about to confirm, and delete their SSH approvals.

        Returns the ids of logins and SSH checks with waiting requests to notify.
        """
        ...
