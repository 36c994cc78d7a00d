"""Pre-auth keys: created and expired by administrators, verified and used by clients."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.auth.model.errors import InvalidInputError, NotFoundError, RefusedError
from services.auth.model.preauth_key import DEFAULT_LIFETIME, ClaimStatus, KeyClaim, PreAuthKey
from services.auth.model.secret import KeyKind, mint, read
from services.auth.model.tag import read_tags
from services.auth.store.keys import PreAuthKeyStore
from services.auth.store.registry import Registry
from services.auth.usecases.proof import Proof
from services.shared.ids import UserId
from services.shared.keys import MachineKey, NodeKey
from services.shared.runtime.clock import Clock
from services.shared.telemetry import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ClaimedKey:
    """A usable key that one machine has claimed, until its node is admitted or refused."""

    key: PreAuthKey
    claim: KeyClaim | None
    """None for a reusable key."""
    fresh: bool
    """The key was not claimed before."""


class PreAuthKeys:
    """Pre-auth keys of one tailnet."""

    def __init__(self, store: PreAuthKeyStore, registry: Registry, clock: Clock, proof: Proof | None = None) -> None:
        self._store = store
        self._registry = registry
        self._clock = clock
        self._proof = proof or Proof()

    async def create(
        self,
        user_id: UserId,
        *,
        reusable: bool,
        ephemeral: bool,
        expiration: datetime | None,
        tags: Iterable[str],
        lifetime: timedelta = DEFAULT_LIFETIME,
        preauthorized: bool = True,
        description: str = "",
        creator: str = "",
        ipv4: str = "",
        ipv6: str = "",
    ) -> tuple[PreAuthKey, str]:
        """Create a key. The second value is its text, which is not stored.

        Raises:
            InvalidInputError: neither user nor tags, malformed tags, or an address that its node cannot have.
            NotFoundError: no such user.
        """
        wanted = read_tags(tags)
        if not user_id and not wanted:
            raise InvalidInputError("a pre-auth key needs a user or tags")
        if user_id and await self._registry.user(user_id) is None:
            raise NotFoundError("user not found")
        if ipv4 or ipv6:
            await self._check_addresses(ipv4, ipv6, reusable=reusable)
        now = self._clock.now()
        key = PreAuthKey(
            id=0,
            prefix="",
            user_id=user_id,
            reusable=reusable,
            ephemeral=ephemeral,
            tags=wanted,
            created_at=now,
            expiration=expiration or now + lifetime,
            description=description,
            creator=creator,
            preauthorized=preauthorized,
            ipv4=ipv4,
            ipv6=ipv6,
        )
        while True:
            secret = mint(KeyKind.PRE_AUTH, secrets.token_bytes(48))
            stored = await self._store.add(replace(key, prefix=secret.prefix), secret.digest)
            if stored is not None:
                log.info("pre-auth key created", key_id=stored.id, user_id=user_id, tags=",".join(wanted))
                return stored, secret.text

    async def _check_addresses(self, ipv4: str, ipv6: str, *, reusable: bool) -> None:
        if reusable:
            raise InvalidInputError("an address is one node's, so a reusable key cannot give it")
        try:
            await self._registry.check_addresses(ipv4, ipv6)
        except RefusedError as error:
            raise InvalidInputError(str(error)) from None

    async def list(self, user_id: UserId | None) -> tuple[PreAuthKey, ...]:
        """List all keys, or those of one user."""
        return await self._store.list(user_id)

    async def find(self, prefix: str) -> PreAuthKey | None:
        """Return the key with this prefix, or None."""
        found = await self._store.by_prefix(prefix)
        return found[0] if found else None

    async def expire(self, key_id: int) -> None:
        """Expire a key now."""
        if not await self._store.expire(key_id, self._clock.now()):
            raise NotFoundError("pre-auth key not found")
        log.info("pre-auth key expired", key_id=key_id)

    async def delete(self, key_id: int) -> None:
        """Delete a key. Nodes that it admitted stay."""
        if not await self._store.delete(key_id):
            raise NotFoundError("pre-auth key not found")
        log.info("pre-auth key deleted", key_id=key_id)

    async def verify(self, unverified_auth_key: str) -> PreAuthKey:
        """Return the key of a text, usable or not.

        Raises:
            RefusedError: there is none; an unknown prefix and a wrong secret give the same text.
            UnavailableError: too many checks of imported keys wait.
        """
        text = read(KeyKind.PRE_AUTH, unverified_auth_key)
        found = await self._store.by_prefix(text.prefix) if text else None
        digest = found[1] if found else None
        if text is None or not await self._proof.proves(text, digest, self._store) or found is None:
            raise RefusedError("invalid auth key")
        return found[0]

    async def claim(self, key: PreAuthKey, machine_key: MachineKey, node_key: NodeKey) -> ClaimedKey:
        """Claim a usable key for one machine before its node is admitted.

        Raises:
            RefusedError: it is expired, used, or claimed by another machine.
        """
        while True:
            now = self._clock.now()
            if (reason := key.refusal(now)) is not None:
                raise RefusedError(reason)
            if key.reusable:
                return ClaimedKey(key, None, False)
            if not await self._may_claim(key, machine_key, now):
                raise RefusedError("auth key was used already")
            claim = KeyClaim(machine_key, node_key, now)
            if await self._store.claim(key.id, key.claim, claim):
                return ClaimedKey(key, claim, key.claim is None)
            # Another caller was faster. One of the racing claims is stored now, so this loop ends.
            found = await self._store.by_prefix(key.prefix)
            if found is None:
                raise RefusedError("invalid auth key")
            key = found[0]

    async def spend(self, hold: ClaimedKey) -> None:
        """Mark a key as used after its node was admitted."""
        if not hold.key.used:
            await self._store.mark_used(hold.key.id)

    async def release_claim(self, hold: ClaimedKey) -> None:
        """Release the claim on a key after its node was refused for another reason: the key may be used again.

        Not when this was a second attempt, because the first may have got through unheard; the lease settles that.
        """
        if hold.claim is not None and hold.fresh:
            await self._store.release(hold.key.id, hold.claim)

    async def _may_claim(self, key: PreAuthKey, machine_key: MachineKey, now: datetime) -> bool:
        standing = key.standing(machine_key, now)
        if standing is not ClaimStatus.STALE or key.claim is None:
            return standing is ClaimStatus.OPEN
        # The lease has expired. The registry knows whether the machine was admitted before it stopped.
        found = await self._registry.find(key.claim.machine_key, key.claim.node_key, NodeKey.zero())
        if any(node.pre_auth_key_id == key.id for node in found.of_machine):
            await self._store.mark_used(key.id)
            return False
        log.info("claim on a pre-auth key lapsed", key_id=key.id)
        return True
