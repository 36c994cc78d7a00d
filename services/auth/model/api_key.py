"""An API key: a secret for the administration interface."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

DEFAULT_LIFETIME = timedelta(days=90)

LAST_SEEN_STEP = timedelta(minutes=1)
"""How stale `last_seen` may be: a busy script costs one write a minute, not one a call."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key without the secret."""

    id: int
    prefix: str
    created_at: datetime
    expiration: datetime | None = None
    last_seen: datetime | None = None

    def is_expired(self, now: datetime) -> bool:
        """Whether it has ended."""
        return self.expiration is not None and self.expiration <= now

    def wants_touch(self, now: datetime) -> bool:
        """Whether this use is to be written down."""
        return self.last_seen is None or now - self.last_seen >= LAST_SEEN_STEP
