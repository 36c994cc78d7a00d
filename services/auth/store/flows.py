"""Protocol of the table of sign-ins in progress."""

from __future__ import annotations

from typing import Protocol

from services.auth.model.oidc.flow import SignInFlow


class FlowStore(Protocol):
    """The table of sign-ins in progress."""

    async def add(self, flow: SignInFlow, at_most: int) -> None:
        """Insert a sign-in, delete expired ones, and keep only the newest `at_most` of the same login."""
        ...

    async def get(self, flow_id: str) -> SignInFlow | None:
        """Return a sign-in, expired or not, or None."""
        ...

    async def replace(self, before: SignInFlow, after: SignInFlow) -> bool:
        """Update a sign-in if its state is still that of `before`. Returns False for all but one of several callers."""
        ...
