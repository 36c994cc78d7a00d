"""OAuth clients and access tokens in the database."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, RowMapping, and_, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from services.auth.model.oauth import AccessToken, OAuthClient
from services.auth.sql.tables import access_tokens as tokens
from services.auth.sql.tables import oauth_clients as clients
from services.shared.db.database import read, write
from services.shared.db.engine import AsyncEngine
from services.shared.ids import TailnetId


class SqlOAuth:
    """The OAuth clients of one tailnet and their tokens."""

    def __init__(self, engine: AsyncEngine, tailnet: TailnetId) -> None:
        self._engine = engine
        self._tailnet = tailnet

    async def add(self, client: OAuthClient, digest: str) -> bool:
        """Insert a client. Returns False if the id is taken."""
        row = {
            "tailnet_id": self._tailnet,
            "prefix": client.id,
            "digest": digest,
            "scopes": list(client.scopes),
            "tags": list(client.tags),
            "description": client.description,
            "creator": client.creator,
            "created_at": client.created_at,
        }
        try:
            async with write(self._engine) as connection:
                await connection.execute(insert(clients).values(row))
        except IntegrityError:
            return False
        return True

    async def list(self) -> tuple[OAuthClient, ...]:
        """List all clients, the oldest first."""
        query = select(clients).where(clients.c.tailnet_id == self._tailnet).order_by(clients.c.id)
        async with read(self._engine) as connection:
            return tuple(_client(row) for row in (await connection.execute(query)).mappings())

    async def find(self, client_id: str) -> tuple[OAuthClient, str] | None:
        """Return a client and the digest of its secret, or None."""
        async with read(self._engine) as connection:
            row = (await connection.execute(select(clients).where(self._is(client_id)))).mappings().one_or_none()
        return (_client(row), row["digest"]) if row is not None else None

    async def update(self, client: OAuthClient) -> bool:
        """Store description, scopes, tags and `updated_at`. Returns False if there is no such client."""
        values = {
            "scopes": list(client.scopes),
            "tags": list(client.tags),
            "description": client.description,
            "updated_at": client.updated_at,
        }
        async with write(self._engine) as connection:
            changed = await connection.execute(update(clients).where(self._is(client.id)).values(values))
            return changed.rowcount == 1

    async def touch(self, client_id: str, now: datetime) -> None:
        """Record when a client or a token of it was used, unless a later use is recorded."""
        older = or_(clients.c.last_used_at.is_(None), clients.c.last_used_at < now)
        async with write(self._engine) as connection:
            await connection.execute(update(clients).where(self._is(client_id), older).values(last_used_at=now))

    async def delete(self, client_id: str) -> bool:
        """Delete a client with its tokens. Returns False if there is none."""
        theirs = and_(tokens.c.tailnet_id == self._tailnet, tokens.c.client_id == client_id)
        async with write(self._engine) as connection:
            await connection.execute(delete(tokens).where(theirs))
            return (await connection.execute(delete(clients).where(self._is(client_id)))).rowcount == 1

    async def add_token(self, token: AccessToken, digest: str) -> bool:
        """Insert a token and delete those that have expired. Returns False if the prefix is taken."""
        over = and_(tokens.c.tailnet_id == self._tailnet, tokens.c.expires_at <= token.created_at)
        row = {
            "prefix": token.prefix,
            "tailnet_id": self._tailnet,
            "digest": digest,
            "client_id": token.client_id,
            "scopes": list(token.scopes),
            "tags": list(token.tags),
            "created_at": token.created_at,
            "expires_at": token.expires_at,
        }
        try:
            async with write(self._engine) as connection:
                await connection.execute(delete(tokens).where(over))
                await connection.execute(insert(tokens).values(row))
        except IntegrityError:
            return False
        return True

    async def token(self, prefix: str) -> tuple[AccessToken, str, OAuthClient] | None:
        """Return a token, the digest of its secret, and its client; None if either is gone."""
        this = and_(tokens.c.tailnet_id == self._tailnet, tokens.c.prefix == prefix)
        async with read(self._engine) as connection:
            row = (await connection.execute(select(tokens).where(this))).mappings().one_or_none()
            if row is None:
                return None
            owner = await connection.execute(select(clients).where(self._is(row["client_id"])))
            client = owner.mappings().one_or_none()
        return (_token(row), row["digest"], _client(client)) if client is not None else None

    def _is(self, client_id: str) -> ColumnElement[bool]:
        return and_(clients.c.tailnet_id == self._tailnet, clients.c.prefix == client_id)


def _client(row: RowMapping) -> OAuthClient:
    return OAuthClient(
        id=row["prefix"],
        scopes=tuple(row["scopes"]),
        tags=tuple(row["tags"]),
        description=row["description"],
        creator=row["creator"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        last_used_at=row["last_used_at"],
    )


def _token(row: RowMapping) -> AccessToken:
    return AccessToken(
        prefix=row["prefix"],
        client_id=row["client_id"],
        scopes=tuple(row["scopes"]),
        tags=tuple(row["tags"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
    )
