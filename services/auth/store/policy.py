"""Protocol of what this service asks of the policy."""

from __future__ import annotations

from typing import Protocol

from services.auth.model.node import KnownUser


class TagOwners(Protocol):
    """The policy's word on who may give nodes a tag."""

    async def may_own(self, user: KnownUser, tags: tuple[str, ...]) -> bool:
        """Whether a user may own all of them."""
        ...
