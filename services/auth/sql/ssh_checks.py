"""Pending SSH checks and approvals in the database."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, delete, exists, func, insert, or_, select, update

from services.auth.model.fair_shares import losing_group
from services.auth.model.login import AuthId
from services.auth.model.ssh_check import LONGEST, CheckState, PendingSshCheck, SshApprovalQuery
from services.auth.sql.logins import lock
from services.auth.sql.tables import ssh_approvals, ssh_checks
from services.auth.store.ssh_checks import OpenedSshCheck, SshCheckLimits
from services.shared.db.database import read, write
from services.shared.db.engine import AsyncConnection, AsyncEngine
from services.shared.db.parts import parts
from services.shared.ids import NodeId, TailnetId, UserId
from services.shared.keys import NodeKey

_AGE = (ssh_checks.c.created_at, ssh_checks.c.auth_id)
_PENDING = ssh_checks.c.state == CheckState.PENDING.value


class SqlSshChecks:
    """The checks and approvals of one tailnet."""

    def __init__(self, engine: AsyncEngine, tailnet: TailnetId) -> None:
        self._engine = engine
        self._tailnet = tailnet

    async def open(self, check: PendingSshCheck, room: SshCheckLimits) -> OpenedSshCheck | None:
        """Insert a check. Returns None if it is refused."""
        async with write(self._engine) as connection:
            await lock(connection, self._tailnet)
            await connection.execute(delete(ssh_checks).where(self._ours(ssh_checks.c.expires_at <= check.created_at)))
            if not check.each_time and (same := await self._same(connection, check)) is not None:
                return OpenedSshCheck(same)
            displaced = await self._make_room(connection, check, room)
            if displaced is None:
                return None
            for part in parts(displaced):
                await connection.execute(delete(ssh_checks).where(self._ours(ssh_checks.c.auth_id.in_(part))))
            await connection.execute(insert(ssh_checks).values({**_row(check), "tailnet_id": self._tailnet}))
        return OpenedSshCheck(check, displaced)

    async def get(self, auth_id: AuthId) -> PendingSshCheck | None:
        """Return a check, expired or not, or None."""
        query = select(ssh_checks).where(self._ours(ssh_checks.c.auth_id == auth_id))
        async with read(self._engine) as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return _check(row) if row is not None else None

    async def list(self, now: datetime) -> tuple[PendingSshCheck, ...]:
        """List pending checks that have not expired, oldest first."""
        query = select(ssh_checks).where(self._ours(_PENDING, ssh_checks.c.expires_at > now)).order_by(*_AGE)
        async with read(self._engine) as connection:
            return tuple(_check(row) for row in (await connection.execute(query)).mappings())

    async def pending(self, auth_ids: Collection[AuthId], now: datetime) -> frozenset[AuthId]:
        """Return those of the given checks that are pending, have not expired, and that no newer approval may end."""
        given = ssh_approvals.c
        newer = exists().where(
            given.tailnet_id == self._tailnet,
            given.source_id == ssh_checks.c.source_id,
            given.source_key == ssh_checks.c.source_key,
            given.approved_at >= ssh_checks.c.created_at,
        )
        pending = self._ours(_PENDING, ssh_checks.c.expires_at > now, ~newer)
        found: set[AuthId] = set()
        async with read(self._engine) as connection:
            for part in parts(auth_ids):
                query = select(ssh_checks.c.auth_id).where(pending, ssh_checks.c.auth_id.in_(part))
                found.update(map(AuthId, (await connection.execute(query)).scalars()))
        return frozenset(found)

    async def approve(self, check: PendingSshCheck, by: str, now: datetime) -> tuple[AuthId, ...] | None:
        """Store an approval and end its check. Returns other checks that it may end, or None if it ended before."""
        after = check.approved(by)
        word = {
            "tailnet_id": self._tailnet,
            "source_id": check.source_id,
            "destination_id": check.destination_id,
            "everywhere": check.everywhere,
            "source_key": check.source_key.raw,
            "user_id": check.user_id,
            "approved_at": now,
            "approved_by": by,
        }
        table = ssh_approvals.c
        old = and_(table.tailnet_id == self._tailnet, table.approved_at <= now - LONGEST)
        this = and_(*(table[name] == word[name] for name in ssh_approvals.primary_key.columns.keys()))  # noqa: SIM118
        here = ssh_checks.c.destination_id == check.destination_id
        there = or_(here, ssh_checks.c.everywhere) if check.everywhere else here
        mine = self._ours(_PENDING, ssh_checks.c.source_id == check.source_id, there)
        others = select(ssh_checks.c.auth_id).where(mine).order_by(*_AGE)
        async with write(self._engine) as connection:
            await lock(connection, self._tailnet)
            if not await self._move(connection, check, after):
                return None
            await connection.execute(delete(ssh_approvals).where(or_(old, this)))
            await connection.execute(insert(ssh_approvals).values(word))
            return tuple(AuthId(auth_id) for auth_id in (await connection.execute(others)).scalars())

    async def reject(self, check: PendingSshCheck, by: str, reason: str) -> bool:
        """Reject a check. Returns False if it was already approved or rejected."""
        async with write(self._engine) as connection:
            return await self._move(connection, check, check.rejected(by, reason))

    async def given(self, word: SshApprovalQuery) -> bool:
        """Return whether there is such an approval."""
        table = ssh_approvals.c
        here = table.destination_id == word.destination_id
        query = select(func.count()).where(
            table.tailnet_id == self._tailnet,
            table.source_id == word.source_id,
            table.source_key == word.source_key.raw,
            table.user_id == word.user_id,
            table.approved_at > word.since,
            or_(here, table.everywhere) if word.everywhere else here,
        )
        async with read(self._engine) as connection:
            return bool((await connection.execute(query)).scalar_one())

    async def _same(self, connection: AsyncConnection, check: PendingSshCheck) -> PendingSshCheck | None:
        """Return a pending check that the same approval ends, with at least half of its lifetime left."""
        names = ("source_id", "destination_id", "local_user", "user_id", "source_key", "everywhere", "each_time")
        alike = [ssh_checks.c[name] == value for name, value in _row(check).items() if name in names]
        young = ssh_checks.c.created_at > check.created_at - (check.expires_at - check.created_at) / 2
        query = select(ssh_checks).where(self._ours(_PENDING, young, *alike)).order_by(*_AGE).limit(1)
        row = (await connection.execute(query)).mappings().one_or_none()
        return _check(row) if row is not None else None

    async def _make_room(
        self, connection: AsyncConnection, check: PendingSshCheck, room: SshCheckLimits
    ) -> tuple[AuthId, ...] | None:
        """Return the check that a new one displaces, if any; None if the new one is refused.

        It is one of the same two nodes, the same source or the same destination if these are at their limit. A full
        table loses one of the destination with the most checks.
        """
        destination = ssh_checks.c.destination_id == check.destination_id
        source = ssh_checks.c.source_id == check.source_id
        for those, most in ((and_(source, destination), room.per_pair), (source, room.per_source)):
            if await self._count(connection, those) >= most:
                return await self._oldest(connection, those)
        if await self._count(connection, destination) >= room.per_destination:
            return await self._oldest(connection, destination)
        if await self._count(connection) < room.total:
            return ()
        pairs = (ssh_checks.c.destination_id, ssh_checks.c.source_id)
        query = select(*pairs, func.count()).where(self._ours()).group_by(*pairs)
        rows = await connection.execute(query)
        counts: dict[tuple[str, ...], int] = {(str(to), str(source)): int(number) for to, source, number in rows}
        loser = losing_group(counts, (str(check.destination_id), str(check.source_id)))
        if loser is None:
            return None
        to, from_ = (int(part) for part in loser)
        return await self._oldest(connection, and_(ssh_checks.c.destination_id == to, ssh_checks.c.source_id == from_))

    async def _count(self, connection: AsyncConnection, *where: ColumnElement[bool]) -> int:
        query = select(func.count()).select_from(ssh_checks).where(self._ours(*where))
        return int((await connection.execute(query)).scalar_one())

    async def _oldest(self, connection: AsyncConnection, where: ColumnElement[bool]) -> tuple[AuthId, ...]:
        # Checks that were approved or rejected go first: no request waits for them.
        query = select(ssh_checks.c.auth_id).where(self._ours(where)).order_by(_PENDING, *_AGE).limit(1)
        return tuple(AuthId(auth_id) for auth_id in (await connection.execute(query)).scalars())

    async def _move(self, connection: AsyncConnection, before: PendingSshCheck, after: PendingSshCheck) -> bool:
        unchanged = self._ours(ssh_checks.c.auth_id == before.auth_id, _PENDING)
        values = {"state": after.state.value, "decided_by": after.decided_by, "reason": after.reason}
        return (await connection.execute(update(ssh_checks).where(unchanged).values(values))).rowcount == 1

    def _ours(self, *where: ColumnElement[bool]) -> ColumnElement[bool]:
        return and_(ssh_checks.c.tailnet_id == self._tailnet, *where)


def _row(check: PendingSshCheck) -> dict[str, Any]:
    return {**asdict(check), "source_key": check.source_key.raw, "state": check.state.value}


def _check(row: RowMapping) -> PendingSshCheck:
    values: dict[str, Any] = {name: row[name] for name in row if name != "tailnet_id"}
    values["auth_id"] = AuthId(row["auth_id"])
    values["source_id"], values["destination_id"] = NodeId(row["source_id"]), NodeId(row["destination_id"])
    values["source_key"] = NodeKey(row["source_key"])
    values["user_id"] = UserId(row["user_id"])
    values["state"] = CheckState(row["state"])
    return PendingSshCheck(**values)
