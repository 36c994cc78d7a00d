"""OAuth clients and their access tokens, without secrets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.auth.model.api_key import LAST_SEEN_STEP
from services.shared.scopes import grants

TOKEN_LIFETIME = timedelta(hours=1)
"""Fixed, as on the hosted service: clients fetch a new token when an hour is over."""


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """A program that gets access tokens."""

    id: str
    """The public part of its secret."""
    scopes: tuple[str, ...]
    tags: tuple[str, ...]
    """Tags that its tokens may give."""
    description: str
    creator: str
    created_at: datetime
    updated_at: datetime | None = None
    last_used_at: datetime | None = None

    def wants_touch(self, now: datetime) -> bool:
        """Return whether this use must be recorded."""
        return self.last_used_at is None or now - self.last_used_at >= LAST_SEEN_STEP


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token that makes administration calls until it expires."""

    prefix: str
    client_id: str
    scopes: tuple[str, ...]
    tags: tuple[str, ...]
    created_at: datetime
    expires_at: datetime

    def under(self, client: OAuthClient) -> AccessToken:
        """Return the token with what its client still has."""
        return AccessToken(
            self.prefix,
            self.client_id,
            tuple(scope for scope in self.scopes if grants(client.scopes, scope)),
            tuple(tag for tag in self.tags if tag in client.tags or grants(client.scopes, "all")),
            self.created_at,
            self.expires_at,
        )
