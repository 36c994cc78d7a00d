"""Protocol of the table of recorded changes of user rights."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from services.auth.model.login import AuthId
from services.auth.model.oidc.refusal import RefusalReason
from services.auth.model.rights import RecordedRightsChange
from services.shared.ids import UserId


class RightsStore(Protocol):
    """The table of changes of people's rights."""

    async def append(self, change: RecordedRightsChange) -> RecordedRightsChange:
        """Store a new change and number it."""
        ...

    async def unfinished(self) -> tuple[RecordedRightsChange, ...]:
        """Those that are not carried out, the oldest first; perhaps not all."""
        ...

    async def mark_done(self, change: RecordedRightsChange, now: datetime) -> None:
        """Note that a change was carried out."""
        ...

    async def refuse_logins(self, user_id: UserId, reason: RefusalReason, text: str) -> tuple[AuthId, ...]:
        """Turn away what a person approved or is about to confirm, and forget their word for SSH sessions.

        Returns the logins and SSH checks whose devices must be told.
        """
        ...
