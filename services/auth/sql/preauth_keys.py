"""Pre-auth keys in the database. A claim is one conditional UPDATE, which succeeds for one caller."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, RowMapping, and_, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from services.auth.model.preauth_key import KeyClaim, PreAuthKey
from services.auth.sql.tables import preauth_keys as keys
from services.shared.db.database import read, write
from services.shared.db.engine import AsyncEngine
from services.shared.ids import TailnetId, UserId
from services.shared.keys import MachineKey, NodeKey


class SqlPreAuthKeys:
    """The pre-auth keys of one tailnet."""

    def __init__(self, engine: AsyncEngine, tailnet: TailnetId) -> None:
        self._engine = engine
        self._tailnet = tailnet

    async def add(self, key: PreAuthKey, digest: str) -> PreAuthKey | None:
        """Insert a key and return it with its id, or None if the prefix is taken."""
        row = {
            "tailnet_id": self._tailnet,
            "prefix": key.prefix,
            "digest": digest,
            "user_id": key.user_id,
            "reusable": key.reusable,
            "ephemeral": key.ephemeral,
            "tags": list(key.tags),
            "created_at": key.created_at,
            "expiration": key.expiration,
            "used": False,
            "description": key.description,
            "creator": key.creator,
            "preauthorized": key.preauthorized,
            "ipv4": key.ipv4,
            "ipv6": key.ipv6,
        }
        try:
            async with write(self._engine) as connection:
                result = await connection.execute(insert(keys).values(row).returning(keys))
                return _key(result.mappings().one())
        except IntegrityError:
            return None

    async def list(self, user_id: UserId | None) -> tuple[PreAuthKey, ...]:
        """List the keys of a user, or all, ordered by id."""
        query = select(keys).where(keys.c.tailnet_id == self._tailnet).order_by(keys.c.id)
        if user_id is not None:
            query = query.where(keys.c.user_id == user_id)
        async with read(self._engine) as connection:
            return tuple(_key(row) for row in (await connection.execute(query)).mappings())

    async def by_prefix(self, prefix: str) -> tuple[PreAuthKey, str] | None:
        """Return a key and the digest of its secret, or None."""
        query = select(keys).where(keys.c.tailnet_id == self._tailnet, keys.c.prefix == prefix)
        async with read(self._engine) as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return (_key(row), row["digest"]) if row is not None else None

    async def replace_digest(self, prefix: str, before: str, digest: str) -> None:
        """Store another digest of the same secret, unless the stored one has changed."""
        same = and_(keys.c.tailnet_id == self._tailnet, keys.c.prefix == prefix, keys.c.digest == before)
        async with write(self._engine) as connection:
            await connection.execute(update(keys).where(same).values(digest=digest))

    async def expire(self, key_id: int, now: datetime) -> bool:
        """Expire a key now, unless it has expired. Returns False if there is none."""
        async with write(self._engine) as connection:
            found = await connection.execute(select(keys.c.id).where(self._is(key_id)))
            if found.one_or_none() is None:
                return False
            late = or_(keys.c.expiration.is_(None), keys.c.expiration > now)
            await connection.execute(update(keys).where(self._is(key_id), late).values(expiration=now))
            return True

    async def delete(self, key_id: int) -> bool:
        """Delete a key. Returns False if there is none."""
        async with write(self._engine) as connection:
            return (await connection.execute(delete(keys).where(self._is(key_id)))).rowcount == 1

    async def claim(self, key_id: int, before: KeyClaim | None, claim: KeyClaim) -> bool:
        """Claim an unused key if its claim is still `before`. Returns False for all but one of several callers."""
        query = (
            update(keys)
            .where(self._is(key_id), keys.c.used.is_(False), _has_claim(before))
            .values(claim_machine_key=claim.machine_key.raw, claim_node_key=claim.node_key.raw, claim_at=claim.at)
        )
        async with write(self._engine) as connection:
            return (await connection.execute(query)).rowcount == 1

    async def release(self, key_id: int, claim: KeyClaim) -> None:
        """Release an unused key that this claim holds."""
        query = (
            update(keys)
            .where(self._is(key_id), keys.c.used.is_(False), _has_claim(claim))
            .values(claim_machine_key=None, claim_node_key=None, claim_at=None)
        )
        async with write(self._engine) as connection:
            await connection.execute(query)

    async def mark_used(self, key_id: int) -> None:
        """Record that a node was admitted with it."""
        async with write(self._engine) as connection:
            await connection.execute(update(keys).where(self._is(key_id)).values(used=True))

    def _is(self, key_id: int) -> ColumnElement[bool]:
        return and_(keys.c.tailnet_id == self._tailnet, keys.c.id == key_id)


def _has_claim(claim: KeyClaim | None) -> ColumnElement[bool]:
    if claim is None:
        return keys.c.claim_machine_key.is_(None)
    return and_(
        keys.c.claim_machine_key == claim.machine_key.raw,
        keys.c.claim_node_key == claim.node_key.raw,
        keys.c.claim_at == claim.at,
    )


def _key(row: RowMapping) -> PreAuthKey:
    claim = None
    if row["claim_machine_key"] is not None:
        claim = KeyClaim(MachineKey(row["claim_machine_key"]), NodeKey(row["claim_node_key"]), row["claim_at"])
    return PreAuthKey(
        id=row["id"],
        prefix=row["prefix"],
        user_id=UserId(row["user_id"]),
        reusable=row["reusable"],
        ephemeral=row["ephemeral"],
        tags=tuple(row["tags"]),
        created_at=row["created_at"],
        expiration=row["expiration"],
        used=row["used"],
        claim=claim,
        description=row["description"],
        creator=row["creator"],
        preauthorized=row["preauthorized"],
        ipv4=row["ipv4"],
        ipv6=row["ipv6"],
    )
