"""API keys in the database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, RowMapping, and_, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from services.auth.model.api_key import ApiKey
from services.auth.sql.tables import api_keys as keys
from services.shared.db.database import read, write
from services.shared.db.engine import AsyncEngine
from services.shared.ids import TailnetId


class SqlApiKeys:
    """The API keys of one tailnet."""

    def __init__(self, engine: AsyncEngine, tailnet: TailnetId) -> None:
        self._engine = engine
        self._tailnet = tailnet

    async def add(self, key: ApiKey, digest: str) -> ApiKey | None:
        """Insert a key and return it with its id, or None if the prefix is taken."""
        row = {
            "tailnet_id": self._tailnet,
            "prefix": key.prefix,
            "digest": digest,
            "created_at": key.created_at,
            "expiration": key.expiration,
            "scopes": list(key.scopes),
            "tags": list(key.tags),
            "description": key.description,
            "creator": key.creator,
        }
        try:
            async with write(self._engine) as connection:
                result = await connection.execute(insert(keys).values(row).returning(keys))
                return _key(result.mappings().one())
        except IntegrityError:
            return None

    async def list(self) -> tuple[ApiKey, ...]:
        """List all keys, ordered by id."""
        query = select(keys).where(keys.c.tailnet_id == self._tailnet).order_by(keys.c.id)
        async with read(self._engine) as connection:
            return tuple(_key(row) for row in (await connection.execute(query)).mappings())

    async def by_prefix(self, prefix: str) -> tuple[ApiKey, str] | None:
        """Return a key and the digest of its secret, or None."""
        async with read(self._engine) as connection:
            row = (await connection.execute(select(keys).where(self._is(prefix)))).mappings().one_or_none()
        return (_key(row), row["digest"]) if row is not None else None

    async def replace_digest(self, prefix: str, before: str, digest: str) -> None:
        """Store another digest of the same secret, unless the stored one has changed."""
        same = and_(keys.c.tailnet_id == self._tailnet, keys.c.prefix == prefix, keys.c.digest == before)
        async with write(self._engine) as connection:
            await connection.execute(update(keys).where(same).values(digest=digest))

    async def expire(self, which: int | str, now: datetime) -> bool:
        """Expire a key, by id or prefix, now, unless it has expired. Returns False if there is none."""
        async with write(self._engine) as connection:
            found = await connection.execute(select(keys.c.id).where(self._is(which)))
            if found.one_or_none() is None:
                return False
            late = or_(keys.c.expiration.is_(None), keys.c.expiration > now)
            await connection.execute(update(keys).where(self._is(which), late).values(expiration=now))
            return True

    async def delete(self, which: int | str) -> bool:
        """Delete a key, by id or prefix. Returns False if there is none."""
        async with write(self._engine) as connection:
            return (await connection.execute(delete(keys).where(self._is(which)))).rowcount == 1

    async def touch(self, key_id: int, now: datetime) -> None:
        """Record when a key was used, unless a later use is recorded."""
        older = or_(keys.c.last_seen.is_(None), keys.c.last_seen < now)
        async with write(self._engine) as connection:
            await connection.execute(update(keys).where(self._is(key_id), older).values(last_seen=now))

    def _is(self, which: int | str) -> ColumnElement[bool]:
        named = keys.c.id == which if isinstance(which, int) else keys.c.prefix == which
        return and_(keys.c.tailnet_id == self._tailnet, named)


def _key(row: RowMapping) -> ApiKey:
    return ApiKey(
        id=row["id"],
        prefix=row["prefix"],
        created_at=row["created_at"],
        expiration=row["expiration"],
        last_seen=row["last_seen"],
        scopes=tuple(row["scopes"]),
        tags=tuple(row["tags"]),
        description=row["description"],
        creator=row["creator"],
    )
