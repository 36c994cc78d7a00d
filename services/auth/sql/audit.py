"""The audit log in the database. The row of the tailnet orders appends: its lock is held from reading to writing it."""

from __future__ import annotations

import contextlib
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from services.auth.model.audit import FIRST, Anchor, ChainedEntry, hash_of
from services.auth.sql.tables import audit_calls as calls
from services.auth.sql.tables import audit_heads as heads
from services.auth.sql.tables import audit_log as log
from services.shared.db.database import read, write
from services.shared.db.engine import AsyncConnection, AsyncEngine
from services.shared.ids import TailnetId

_NEW_HEAD = text(
    "INSERT INTO auth_audit_heads (tailnet_id, seq, hash, pruned_seq, pruned_hash)"
    " VALUES (:tailnet, 0, :first, 0, :first) ON CONFLICT DO NOTHING"
)


class SqlAudit:
    """The audit log of one tailnet."""

    def __init__(self, engine: AsyncEngine, tailnet: TailnetId) -> None:
        self._engine = engine
        self._tailnet = tailnet

    async def begin(self, event_id: str, at: datetime, body: bytes) -> None:
        """Store a call that is about to be made, unless it is there."""
        row = {"tailnet_id": self._tailnet, "event_id": event_id, "at": at, "body": body}
        with contextlib.suppress(IntegrityError):
            async with write(self._engine) as connection:
                await connection.execute(insert(calls).values(row))

    async def finish(self, event_id: str, at: datetime, body: bytes) -> None:
        """Append a call to the log and remove it from those without a result, unless it was appended already."""
        this = and_(calls.c.tailnet_id == self._tailnet, calls.c.event_id == event_id)
        async with write(self._engine) as connection:
            if (await connection.execute(delete(calls).where(this))).rowcount != 1:
                return
            head = await self._lock(connection)
            seq = head.seq + 1
            digest = hash_of(head.hash, seq, body)
            row = {"tailnet_id": self._tailnet, "seq": seq, "at": at, "body": body, "hash": digest}
            await connection.execute(insert(log).values(row))
            await connection.execute(update(heads).where(self._ours()).values(seq=seq, hash=digest))

    async def unfinished(self, before: datetime) -> tuple[tuple[str, datetime, bytes], ...]:
        """List calls without a result that were made before a time, the oldest first."""
        query = select(calls.c.event_id, calls.c.at, calls.c.body).order_by(calls.c.at, calls.c.event_id)
        query = query.where(calls.c.tailnet_id == self._tailnet, calls.c.at < before).limit(1000)
        async with read(self._engine) as connection:
            rows = await connection.execute(query)
            return tuple((row.event_id, row.at, bytes(row.body)) for row in rows)

    async def entries(
        self, after: int, limit: int, start: datetime | None = None, end: datetime | None = None
    ) -> tuple[ChainedEntry, ...]:
        """List entries after a position, in order; with `start` or `end` only those of calls made between them."""
        query = select(log).where(log.c.tailnet_id == self._tailnet, log.c.seq > after)
        if start is not None:
            query = query.where(log.c.at >= start)
        if end is not None:
            query = query.where(log.c.at <= end)
        async with read(self._engine) as connection:
            rows = await connection.execute(query.order_by(log.c.seq).limit(limit))
            return tuple(ChainedEntry(row.seq, bytes(row.body), row.hash) for row in rows)

    async def ends(self) -> tuple[Anchor, Anchor]:
        """Return where the stored part of the log starts, and its newest entry."""
        async with read(self._engine) as connection:
            row = (await connection.execute(select(heads).where(self._ours()))).one_or_none()
        if row is None:
            return Anchor(), Anchor()
        return Anchor(row.pruned_seq, row.pruned_hash), Anchor(row.seq, row.hash)

    async def prune(self, before: datetime, limit: int) -> int:
        """Remove the oldest entries, made before a time, at most `limit`. Returns how many were removed."""
        async with write(self._engine) as connection:
            await self._lock(connection)
            start = (await connection.execute(select(heads.c.pruned_seq).where(self._ours()))).scalar_one()
            young = select(func.min(log.c.seq)).where(log.c.tailnet_id == self._tailnet, log.c.at >= before)
            newest = select(func.max(log.c.seq)).where(log.c.tailnet_id == self._tailnet)
            first_young = (await connection.execute(young)).scalar()
            last = (await connection.execute(newest)).scalar() if first_young is None else first_young - 1
            end = min(last or 0, start + limit)
            if end <= start:
                return 0
            kept = select(log.c.hash).where(log.c.tailnet_id == self._tailnet, log.c.seq == end)
            digest = (await connection.execute(kept)).scalar_one_or_none()
            if digest is None:  # the log is damaged: what is left of it stays
                return 0
            old = and_(log.c.tailnet_id == self._tailnet, log.c.seq <= end)
            removed = (await connection.execute(delete(log).where(old))).rowcount
            await connection.execute(update(heads).where(self._ours()).values(pruned_seq=end, pruned_hash=digest))
            return removed

    async def _lock(self, connection: AsyncConnection) -> Anchor:
        await connection.execute(_NEW_HEAD, {"tailnet": self._tailnet, "first": FIRST})
        row = (await connection.execute(select(heads).where(self._ours()).with_for_update())).one()
        return Anchor(row.seq, row.hash)

    def _ours(self) -> ColumnElement[bool]:
        return heads.c.tailnet_id == self._tailnet
