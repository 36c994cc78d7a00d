"""Pending logins in the database: at most one a machine, at most so many a network, at most so many in all."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, RowMapping, and_, delete, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from services.auth.model.login import AuthId, Login, LoginState, RegisterMethod
from services.auth.sql.tables import logins, tailnets
from services.auth.store.logins import LoginLimits, OpenedLogin
from services.shared.db.database import read, write
from services.shared.ids import NodeId, TailnetId, UserId
from services.shared.keys import MachineKey, NodeKey

_AGE = (logins.c.created_at, logins.c.auth_id)
_NEW_TAILNET = text("INSERT INTO auth_tailnets (tailnet_id, logins_opened) VALUES (:tailnet, 0) ON CONFLICT DO NOTHING")
Displaced = list[AuthId]
_REUSABLE = (LoginState.PENDING, LoginState.APPROVED)


async def lock(connection: AsyncConnection, tailnet: TailnetId) -> None:
    """Make what follows in this transaction the only one of its kind in the tailnet."""
    await connection.execute(_NEW_TAILNET, {"tailnet": tailnet})
    opened = tailnets.c.logins_opened
    await connection.execute(update(tailnets).where(tailnets.c.tailnet_id == tailnet).values(logins_opened=opened + 1))


class SqlLogins:
    """The pending logins of one tailnet."""

    def __init__(self, engine: AsyncEngine, tailnet: TailnetId) -> None:
        self._engine = engine
        self._tailnet = tailnet

    async def open(self, login: Login, network: str, room: LoginLimits) -> OpenedLogin | None:
        """Store a login in place of the machine's last one; None when there is no room."""
        async with write(self._engine) as connection:
            await lock(connection, self._tailnet)
            await connection.execute(delete(logins).where(self._ours(logins.c.expires_at <= login.created_at)))
            if (same := await self._one(connection, self._ours(logins.c.auth_id == login.auth_id))) is not None:
                return OpenedLogin(same)
            last = await self._one(connection, self._ours(logins.c.machine_key == login.machine_key.raw))
            if last is not None and last.node_key == login.node_key and last.state in _REUSABLE:
                return OpenedLogin(last)
            displaced = [last.auth_id] if last is not None else []
            if last is None:
                oldest = await self._make_room(connection, network, room)
                if oldest is None:
                    return None
                displaced = oldest
            if displaced:
                await connection.execute(delete(logins).where(logins.c.auth_id.in_(displaced)))
            await connection.execute(insert(logins).values({**_row(login), **self._where(network)}))
            return OpenedLogin(login, tuple(displaced))

    async def get(self, auth_id: AuthId) -> Login | None:
        """One login, whatever its age."""
        async with read(self._engine) as connection:
            return await self._one(connection, self._ours(logins.c.auth_id == auth_id))

    async def of_machine(self, machine_key: MachineKey) -> Login | None:
        """The login of a machine, whatever its age."""
        async with read(self._engine) as connection:
            return await self._one(connection, self._ours(logins.c.machine_key == machine_key.raw))

    async def list(self, now: datetime) -> tuple[Login, ...]:
        """Those that have not ended, oldest first."""
        query = select(logins).where(self._ours(logins.c.expires_at > now)).order_by(*_AGE)
        async with read(self._engine) as connection:
            return tuple(_login(row) for row in (await connection.execute(query)).mappings())

    async def replace(self, before: Login, after: Login) -> bool:
        """Store a new state if the old one still holds."""
        unchanged = and_(
            logins.c.auth_id == before.auth_id,
            logins.c.state == before.state.value,
            logins.c.user_id == before.user_id,
        )
        query = update(logins).where(self._ours(unchanged)).values(_state(after))
        async with write(self._engine) as connection:
            return (await connection.execute(query)).rowcount == 1

    async def forget(self, machine_key: MachineKey, node_key: NodeKey) -> AuthId | None:
        """Drop the login of these keys and say which it was."""
        these = and_(logins.c.machine_key == machine_key.raw, logins.c.node_key == node_key.raw)
        async with write(self._engine) as connection:
            gone = await connection.execute(delete(logins).where(self._ours(these)).returning(logins.c.auth_id))
            auth_id = gone.scalar_one_or_none()
        return AuthId(auth_id) if auth_id is not None else None

    async def _make_room(self, connection: AsyncConnection, network: str, room: LoginLimits) -> Displaced | None:
        count = select(func.count()).select_from(logins)
        total: int = (await connection.execute(count.where(self._ours()))).scalar_one()
        here: int = (await connection.execute(count.where(self._ours(logins.c.network == network)))).scalar_one()
        if total < room.total and here < room.per_network:
            return []
        query = select(logins.c.auth_id).where(self._ours(logins.c.network == network)).order_by(*_AGE).limit(1)
        oldest = (await connection.execute(query)).scalar_one_or_none()
        return [AuthId(oldest)] if oldest is not None else None

    async def _one(self, connection: AsyncConnection, where: ColumnElement[bool]) -> Login | None:
        row = (await connection.execute(select(logins).where(where))).mappings().one_or_none()
        return _login(row) if row is not None else None

    def _where(self, network: str) -> dict[str, object]:
        return {"tailnet_id": self._tailnet, "network": network}

    def _ours(self, *where: ColumnElement[bool]) -> ColumnElement[bool]:
        return and_(logins.c.tailnet_id == self._tailnet, *where)


def _state(login: Login) -> dict[str, object]:
    return {
        "state": login.state.value,
        "user_id": login.user_id,
        "method": int(login.method),
        "key_end": login.key_end,
        "node_id": login.node_id,
        "reason": login.reason,
    }


def _row(login: Login) -> dict[str, object]:
    return {
        "auth_id": login.auth_id,
        "machine_key": login.machine_key.raw,
        "node_key": login.node_key.raw,
        "old_node_key": login.old_node_key.raw,
        "hostinfo": login.hostinfo,
        "hostname": login.hostname,
        "os": login.os,
        "tags": list(login.tags),
        "version": login.version,
        "ephemeral": login.ephemeral,
        "remote_address": login.remote_address,
        "created_at": login.created_at,
        "expires_at": login.expires_at,
        "wanted_expiry": login.wanted_expiry,
        **_state(login),
    }


def _login(row: RowMapping) -> Login:
    return Login(
        auth_id=AuthId(row["auth_id"]),
        machine_key=MachineKey(row["machine_key"]),
        node_key=NodeKey(row["node_key"]),
        old_node_key=NodeKey(row["old_node_key"]),
        hostinfo=row["hostinfo"],
        hostname=row["hostname"],
        os=row["os"],
        tags=tuple(row["tags"]),
        version=row["version"],
        ephemeral=row["ephemeral"],
        remote_address=row["remote_address"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        wanted_expiry=row["wanted_expiry"],
        state=LoginState(row["state"]),
        user_id=UserId(row["user_id"]),
        method=RegisterMethod(row["method"]),
        key_end=row["key_end"],
        node_id=NodeId(row["node_id"]),
        reason=row["reason"],
    )
