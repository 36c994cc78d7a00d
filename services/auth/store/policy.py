"""Protocol of the policy service as auth uses it: tag ownership."""

from __future__ import annotations

from typing import Protocol

from services.auth.model.node import KnownUser


class TagOwners(Protocol):
    """Tag ownership by the policy in force."""

    async def may_own(self, user: KnownUser, tags: tuple[str, ...]) -> bool:
        """Return whether a user may give nodes all of these tags."""
        ...
