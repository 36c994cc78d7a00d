"""Protocol of the table of sign-ins in progress."""

from __future__ import annotations

from typing import Protocol

from services.auth.model.oidc.flow import SignInFlow


class FlowStore(Protocol):
    """The table of sign-ins on their way."""

    async def add(self, flow: SignInFlow, at_most: int) -> None:
        """Store a new one and forget those that have ended; of one login, only the newest `at_most` stay."""
        ...

    async def get(self, flow_id: str) -> SignInFlow | None:
        """One, whatever its age."""
        ...

    async def replace(self, before: SignInFlow, after: SignInFlow) -> bool:
        """Store a new state if the old one still holds; exactly one of several wins."""
        ...
