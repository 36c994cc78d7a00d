"""An API key: a secret for the administration interface."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.shared.scopes import ALL

DEFAULT_LIFETIME = timedelta(days=90)

LAST_SEEN_STEP = timedelta(minutes=1)
"""Resolution of `last_seen`: a busy script costs one write a minute, not one a call."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without the secret."""

    id: int
    prefix: str
    created_at: datetime
    expiration: datetime | None = None
    last_seen: datetime | None = None
    scopes: tuple[str, ...] = (ALL,)
    tags: tuple[str, ...] = ()
    """Tags that it may give; empty: any."""
    description: str = ""
    creator: str = ""

    def is_expired(self, now: datetime) -> bool:
        """Return whether the key has expired."""
        return self.expiration is not None and self.expiration <= now

    def wants_touch(self, now: datetime) -> bool:
        """Return whether this use has to be recorded in `last_seen`."""
        return self.last_seen is None or now - self.last_seen >= LAST_SEEN_STEP
