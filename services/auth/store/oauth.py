"""Protocol of the tables of OAuth clients and access tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from services.auth.model.oauth import AccessToken, OAuthClient


class OAuthStore(Protocol):
    """The tables of OAuth clients and of their access tokens."""

    async def add(self, client: OAuthClient, digest: str) -> bool:
        """Insert a client. Returns False if the id is taken."""
        ...

    async def list(self) -> tuple[OAuthClient, ...]:
        """List all clients, the oldest first."""
        ...

    async def find(self, client_id: str) -> tuple[OAuthClient, str] | None:
        """Return a client and the digest of its secret, or None."""
        ...

    async def update(self, client: OAuthClient) -> bool:
        """Store description, scopes, tags and `updated_at`. Returns False if there is no such client."""
        ...

    async def touch(self, client_id: str, now: datetime) -> None:
        """Record when a client or a token of it was used, unless a later use is recorded."""
        ...

    async def delete(self, client_id: str) -> bool:
        """Delete a client with its tokens. Returns False if there is none."""
        ...

    async def add_token(self, token: AccessToken, digest: str) -> bool:
        """Insert a token and delete those that have expired. Returns False if the prefix is taken."""
        ...

    async def token(self, prefix: str) -> tuple[AccessToken, str, OAuthClient] | None:
        """Return a token, the digest of its secret, and its client; None if either is gone."""
        ...
