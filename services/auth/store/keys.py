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
        """Store a new key and number it; None when the prefix is taken."""
        ...

    async def list(self, user_id: UserId | None) -> tuple[PreAuthKey, ...]:
        """All, or those of one user, ordered by id."""
        ...

    async def by_prefix(self, prefix: str) -> tuple[PreAuthKey, str] | None:
        """A key and the digest of its secret."""
        ...

    async def replace_digest(self, prefix: str, before: str, digest: str) -> None:
        """Store another digest of the same secret, unless the stored one has changed."""
        ...

    async def expire(self, key_id: int, now: datetime) -> bool:
        """End a key now, unless it has ended; False when there is none."""
        ...

    async def delete(self, key_id: int) -> bool:
        """Forget a key; False when there is none."""
        ...

    async def claim(self, key_id: int, before: KeyClaim | None, claim: KeyClaim) -> bool:
        """Begin to spend an unused key if its claim is still what it was; exactly one of several wins."""
        ...

    async def release(self, key_id: int, claim: KeyClaim) -> None:
        """Give back an unused key that this claim holds."""
        ...

    async def mark_used(self, key_id: int) -> None:
        """Write down that a node was admitted with it."""
        ...


class ApiKeyStore(Protocol):
    """The table of API keys."""

    async def add(self, key: ApiKey, digest: str) -> ApiKey | None:
        """Store a new key and number it; None when the prefix is taken."""
        ...

    async def list(self) -> tuple[ApiKey, ...]:
        """All, ordered by id."""
        ...

    async def by_prefix(self, prefix: str) -> tuple[ApiKey, str] | None:
        """A key and the digest of its secret."""
        ...

    async def replace_digest(self, prefix: str, before: str, digest: str) -> None:
        """Store another digest of the same secret, unless the stored one has changed."""
        ...

    async def expire(self, which: int | str, now: datetime) -> bool:
        """End a key, named by id or prefix, now, unless it has ended; False when there is none."""
        ...

    async def delete(self, which: int | str) -> bool:
        """Forget a key, named by id or prefix; False when there is none."""
        ...

    async def touch(self, key_id: int, now: datetime) -> None:
        """Write down when a key was used."""
        ...
