"""API keys: created, expired and verified."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from services.auth.model.api_key import DEFAULT_LIFETIME, ApiKey
from services.auth.model.errors import InvalidInputError, NotFoundError, UnauthenticatedError
from services.auth.model.secret import KeyKind, mint, read
from services.auth.store.keys import ApiKeyStore
from services.auth.usecases.oauth import read_rights
from services.auth.usecases.proof import Proof
from services.shared.runtime.clock import Clock
from services.shared.scopes import ALL
from services.shared.telemetry import get_logger

log = get_logger(__name__)


class ApiKeys:
    """API keys of one tailnet."""

    def __init__(self, store: ApiKeyStore, clock: Clock, proof: Proof | None = None) -> None:
        self._store = store
        self._clock = clock
        self._proof = proof or Proof()

    async def create(
        self,
        expiration: datetime | None,
        scopes: Iterable[str] = (ALL,),
        tags: Iterable[str] = (),
        *,
        description: str = "",
        creator: str = "",
    ) -> tuple[ApiKey, str]:
        """Create a key. The second value is its text, which is not stored.

        Raises:
            InvalidInputError: no or an unknown scope, or a malformed tag.
        """
        wanted, given = read_rights(scopes, tags, tagged=False)
        now = self._clock.now()
        while True:
            secret = mint(KeyKind.API, secrets.token_bytes(48))
            key = ApiKey(
                id=0,
                prefix=secret.prefix,
                created_at=now,
                expiration=expiration or now + DEFAULT_LIFETIME,
                scopes=wanted,
                tags=given,
                description=description,
                creator=creator,
            )
            stored = await self._store.add(key, secret.digest)
            if stored is not None:
                log.info("api key created", key_id=stored.id, scopes=" ".join(wanted))
                return stored, secret.text

    async def list(self) -> tuple[ApiKey, ...]:
        """List all keys."""
        return await self._store.list()

    async def find(self, prefix: str) -> ApiKey | None:
        """Return the key with this prefix, or None."""
        found = await self._store.by_prefix(prefix)
        return found[0] if found else None

    async def expire(self, key_id: int, prefix: str) -> None:
        """Expire a key now, by id or prefix."""
        which = _one_of(key_id, prefix)
        if not await self._store.expire(which, self._clock.now()):
            raise NotFoundError("api key not found")
        log.info("api key expired", key=which)

    async def delete(self, key_id: int, prefix: str) -> None:
        """Delete a key, by id or prefix."""
        which = _one_of(key_id, prefix)
        if not await self._store.delete(which):
            raise NotFoundError("api key not found")
        log.info("api key deleted", key=which)

    async def verify(self, unverified_key: str) -> ApiKey:
        """Verify a key and record its use, at most once a minute.

        Raises:
            UnauthenticatedError: unknown, expired or malformed, with the same text.
        """
        text = read(KeyKind.API, unverified_key)
        found = await self._store.by_prefix(text.prefix) if text else None
        now = self._clock.now()
        if text is None or found is None or found[0].is_expired(now):
            raise UnauthenticatedError("invalid api key")
        if not await self._proof.proves(text, found[1], self._store):
            raise UnauthenticatedError("invalid api key")
        key = found[0]
        if key.wants_touch(now):
            await self._store.touch(key.id, now)
            return replace(key, last_seen=now)
        return key


def _one_of(key_id: int, prefix: str) -> int | str:
    if bool(key_id) == bool(prefix):
        raise InvalidInputError("name the api key by id or by prefix, one of both")
    if key_id:
        return key_id
    # People paste keys from lists, where they are masked.
    return prefix.removeprefix(KeyKind.API.value).removesuffix("-***")
