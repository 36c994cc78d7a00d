"""Protocol of the tables of the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from services.auth.model.audit import Anchor, ChainedEntry


class AuditStore(Protocol):
    """Calls without a result, and the log of those with one."""

    async def begin(self, event_id: str, at: datetime, body: bytes) -> None:
        """Store a call that is about to be made, unless it is there."""
        ...

    async def finish(self, event_id: str, at: datetime, body: bytes) -> None:
        """Append a call to the log and remove it from those without a result, unless it was appended already."""
        ...

    async def unfinished(self, before: datetime) -> tuple[tuple[str, datetime, bytes], ...]:
        """List calls without a result that were made before a time, the oldest first."""
        ...

    async def entries(
        self, after: int, limit: int, start: datetime | None = None, end: datetime | None = None
    ) -> tuple[ChainedEntry, ...]:
        """List entries after a position, in order; with `start` or `end` only those of calls made between them."""
        ...

    async def ends(self) -> tuple[Anchor, Anchor]:
        """Return where the stored part of the log starts, and its newest entry."""
        ...

    async def prune(self, before: datetime, limit: int) -> int:
        """Remove the oldest entries, made before a time, at most `limit`. Returns how many were removed."""
        ...
