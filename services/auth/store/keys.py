"""Protocols of the tables of pre-auth keys and API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from services.auth.model.api_key import ApiKey
from services.auth.model.preauth_key import KeyClaim, PreAuthKey
from services.shared.ids import UserId


class PreAuthKeyStore(Protocol):
    """The table of pre-auth keys."""

    async def add(self, key: PreAuthKey, digest: str) -> PreAuthKey | None:
        """Insert a key and return it with its id, or None if the prefix is taken."""
        ...

    async def list(self, user_id: UserId | None) -> tuple[PreAuthKey, ...]:
        """List the keys of a user, or all, ordered by id."""
        ...

    async def by_prefix(self, prefix: str) -> tuple[PreAuthKey, str] | None:
        """Return a key and the digest of its secret, or None."""
        ...

    async def replace_digest(self, prefix: str, before: str, digest: str) -> None:
        """Store another digest of the same secret, unless the stored one has changed."""
        ...

    async def expire(self, key_id: int, now: datetime) -> bool:
        """Expire a key now, unless it has expired. Returns False if there is none."""
        ...

    async def delete(self, key_id: int) -> bool:
        """Delete a key. Returns False if there is none."""
        ...

    async def claim(self, key_id: int, before: KeyClaim | None, claim: KeyClaim) -> bool:
        """Claim an unused key if its claim is still `before`. Returns False for all but one of several callers."""
        ...

    async def release(self, key_id: int, claim: KeyClaim) -> None:
        """Release an unused key that this claim holds."""
        ...

    async def mark_used(self, key_id: int) -> None:
        """Record that a node was admitted with it."""
        ...


class ApiKeyStore(Protocol):
    """The table of API keys."""

    async def add(self, key: ApiKey, digest: str) -> ApiKey | None:
        """Insert a key and return it with its id, or None if the prefix is taken."""
        ...

    async def list(self) -> tuple[ApiKey, ...]:
        """List all keys, ordered by id."""
        ...

    async def by_prefix(self, prefix: str) -> tuple[ApiKey, str] | None:
        """Return a key and the digest of its secret, or None."""
        ...

    async def replace_digest(self, prefix: str, before: str, digest: str) -> None:
        """Store another digest of the same secret, unless the stored one has changed."""
        ...

    async def expire(self, which: int | str, now: datetime) -> bool:
        """Expire a key, by id or prefix, now, unless it has expired. Returns False if there is none."""
        ...

    async def delete(self, which: int | str) -> bool:
        """Delete a key, by id or prefix. Returns False if there is none."""
        ...

    async def touch(self, key_id: int, now: datetime) -> None:
        """Record when a key was used."""
        ...
