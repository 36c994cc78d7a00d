"""Policies of one tailnet in the database. The tailnet's row is updated first by every write, so writes take turns."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, RowMapping, delete, insert, select, text, update

from services.policy.model.errors import OvertakenError
from services.policy.model.version import NO_POLICY_ETAG, CheckedPolicy, InForce, LogEntry, Records, Version
from services.policy.sql.tables import changes, tailnets, versions
from services.policy.store import KEPT_CHANGES, Codec
from services.shared.db.database import read, write
from services.shared.db.engine import AsyncConnection, AsyncEngine
from services.shared.ids import TailnetId

_NEW_TAILNET = text(
    "INSERT INTO policy_tailnets (tailnet_id, seq, newest, in_force, compiled)"
    " VALUES (:tailnet, 0, 0, 0, :compiled) ON CONFLICT DO NOTHING"
)
_MAX_BYTES = 16 << 20
_WITHOUT_TEXT = [column for column in versions.c if column.name != "text"]


class SqlStore:
    """Implements `store.Store`."""

    def __init__(self, engine: AsyncEngine, tailnet: TailnetId, codec: Codec) -> None:
        self._engine = engine
        self._tailnet = tailnet
        self._codec = codec

    async def in_force(self) -> InForce | None:
        """Return the compiled form in force."""
        async with read(self._engine) as connection:
            row = await self._tailnet_row(connection)
        if row is None or not row["seq"]:
            return None
        return InForce(row["seq"], bytes(row["compiled"]), row["in_force"])

    async def current(self) -> Version | None:
        """Return the version in force."""
        async with read(self._engine) as connection:
            row = await self._tailnet_row(connection)
            return await self._version(connection, row["in_force"]) if row is not None else None

    async def newest(self) -> Version | None:
        """Return the version accepted last."""
        async with read(self._engine) as connection:
            row = await self._tailnet_row(connection)
            return await self._version(connection, row["newest"]) if row is not None else None

    async def version(self, number: int) -> Version | None:
        """Return a version with its text."""
        async with read(self._engine) as connection:
            return await self._version(connection, number)

    async def versions(self, before: int, limit: int) -> list[Version]:
        """Return versions below a number, newest first, without text."""
        query = select(*_WITHOUT_TEXT).where(versions.c.tailnet_id == self._tailnet)
        if before:
            query = query.where(versions.c.number < before)
        query = query.order_by(versions.c.number.desc()).limit(limit)
        async with read(self._engine) as connection:
            return [_version(row) for row in (await connection.execute(query)).mappings()]

    async def accept(self, draft: CheckedPolicy, if_match: str) -> tuple[Version, LogEntry]:
        """Store a version and put it in force."""
        async with write(self._engine) as connection:
            return await self.accept_on(connection, draft, if_match)

    async def accept_on(
        self, connection: AsyncConnection, draft: CheckedPolicy, if_match: str
    ) -> tuple[Version, LogEntry]:
        """Store a version and put it in force, inside a transaction that is open already."""
        await self._lock(connection)
        row = await self._tailnet_row(connection)
        assert row is not None
        if if_match and if_match != await self._etag(connection, row["in_force"]):
            raise OvertakenError("the policy in force is not the one that the change was made from")
        number = row["newest"] + 1
        version = Version(number, draft.author, draft.reason, draft.created_at, draft.etag, draft.text)
        await connection.execute(
            insert(versions).values(
                tailnet_id=self._tailnet,
                number=number,
                author=draft.author,
                reason=draft.reason,
                created_at=draft.created_at,
                etag=draft.etag,
                text=draft.text,
            )
        )
        await connection.execute(update(tailnets).where(self._ours()).values(newest=number))
        record = await self._record(connection, row["seq"] + 1, draft.compiled, number, draft.created_at)
        return version, record

    async def newest_on(self, connection: AsyncConnection) -> int:
        """Return the number of the newest version, inside a transaction that is open already; 0 if there is none."""
        row = await self._tailnet_row(connection)
        return 0 if row is None else int(row["newest"])

    async def put_in_force(self, compiled: bytes, number: int, now: datetime) -> LogEntry:
        """Put a compiled form in force without a new version."""
        async with write(self._engine) as connection:
            await self._lock(connection)
            row = await self._tailnet_row(connection)
            assert row is not None
            return await self._record(connection, row["seq"] + 1, compiled, number, now)

    async def records(self, after: int) -> Records:
        """Return the records after a position; only the first ones if they are large."""
        query = select(changes.c.seq, changes.c.payload).where(changes.c.tailnet_id == self._tailnet)
        query = query.where(changes.c.seq > after).order_by(changes.c.seq)
        async with read(self._engine) as connection:
            row = await self._tailnet_row(connection)
            last = row["seq"] if row is not None else 0
            if after >= last:
                return Records((), reset=after > last, last=last)
            found: list[LogEntry] = []
            size = 0
            for seq, payload in await connection.execute(query):
                size += len(payload)
                if found and size > _MAX_BYTES:
                    break
                found.append(LogEntry(seq, bytes(payload)))
        if not found or found[0].seq != after + 1:
            return Records((), reset=True, last=last)
        return Records(tuple(found), reset=False, last=last)

    async def _record(
        self, connection: AsyncConnection, seq: int, compiled: bytes, number: int, now: datetime
    ) -> LogEntry:
        payload = self._codec.encode(seq, now, compiled, number)
        changed = update(tailnets).where(self._ours()).values(seq=seq, in_force=number, compiled=compiled)
        await connection.execute(changed)
        await connection.execute(insert(changes).values(tailnet_id=self._tailnet, seq=seq, time=now, payload=payload))
        old = delete(changes).where(changes.c.tailnet_id == self._tailnet, changes.c.seq <= seq - KEPT_CHANGES)
        await connection.execute(old)
        return LogEntry(seq, payload)

    async def _lock(self, connection: AsyncConnection) -> None:
        await connection.execute(_NEW_TAILNET, {"tailnet": self._tailnet, "compiled": b""})
        await connection.execute(update(tailnets).where(self._ours()).values(seq=tailnets.c.seq))

    async def _tailnet_row(self, connection: AsyncConnection) -> RowMapping | None:
        return (await connection.execute(select(tailnets).where(self._ours()))).mappings().one_or_none()

    async def _etag(self, connection: AsyncConnection, number: int) -> str:
        version = await self._version(connection, number)
        return version.etag if version is not None else NO_POLICY_ETAG

    async def _version(self, connection: AsyncConnection, number: int) -> Version | None:
        query = select(versions).where(versions.c.tailnet_id == self._tailnet, versions.c.number == number)
        row = (await connection.execute(query)).mappings().one_or_none()
        return _version(row) if row is not None else None

    def _ours(self) -> ColumnElement[bool]:
        return tailnets.c.tailnet_id == self._tailnet


def _version(row: RowMapping) -> Version:
    return Version(row["number"], row["author"], row["reason"], row["created_at"], row["etag"], row.get("text", ""))
