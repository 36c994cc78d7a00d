"""Pending logins in the database: one for each machine, bounded for each network and in all."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, RowMapping, and_, case, delete, func, insert, or_, select, text, update

from services.auth.model.fair_shares import PendingEntry, Progress, least_advanced, losing_group, network_path
from services.auth.model.login import AuthId, Login, LoginState, RegisterMethod
from services.auth.model.oidc.flow import FlowState
from services.auth.sql.tables import flows, logins, tailnets
from services.auth.store.logins import LoginLimits, OpenedLogin
from services.shared.db.database import read, write
from services.shared.db.engine import AsyncConnection, AsyncEngine
from services.shared.db.parts import parts
from services.shared.ids import NodeId, TailnetId, UserId
from services.shared.keys import MachineKey, NodeKey

_AGE = (logins.c.created_at, logins.c.auth_id)
_NEW_TAILNET = text("INSERT INTO auth_tailnets (tailnet_id, logins_opened) VALUES (:tailnet, 0) ON CONFLICT DO NOTHING")
Displaced = list[AuthId]
_REUSABLE = (LoginState.PENDING, LoginState.APPROVED)


async def lock(connection: AsyncConnection, tailnet: TailnetId) -> None:
    """Serialise the rest of this transaction with all others of the tailnet that call this."""
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
            if (same := await self._one(connection, logins.c.auth_id == login.auth_id)) is not None:
                return OpenedLogin(same)
            last = await self._one(connection, logins.c.machine_key == login.machine_key.raw)
            if last is not None and last.node_key == login.node_key and last.state in _REUSABLE:
                return OpenedLogin(last)
            displaced = [last.auth_id] if last is not None else []
            if last is None:
                made = await self._make_room(connection, login, network, room)
                if made is None:
                    return None
                displaced = made
            for part in parts(displaced):
                await connection.execute(delete(logins).where(self._ours(logins.c.auth_id.in_(part))))
            await connection.execute(insert(logins).values({**_row(login), **self._where(network)}))
            return OpenedLogin(login, tuple(displaced))

    async def get(self, auth_id: AuthId) -> Login | None:
        """Return a login, expired or not, or None."""
        async with read(self._engine) as connection:
            return await self._one(connection, logins.c.auth_id == auth_id)

    async def of_machine(self, machine_key: MachineKey) -> Login | None:
        """Return the login of a machine, expired or not, or None."""
        async with read(self._engine) as connection:
            return await self._one(connection, logins.c.machine_key == machine_key.raw)

    async def list(self, now: datetime) -> tuple[Login, ...]:
        """List the logins that have not expired, oldest first."""
        query = select(logins).where(self._ours(logins.c.expires_at > now)).order_by(*_AGE)
        async with read(self._engine) as connection:
            return tuple(_login(row) for row in (await connection.execute(query)).mappings())

    async def pending(self, auth_ids: Collection[AuthId], now: datetime) -> frozenset[AuthId]:
        """Return those of the given logins that are pending and have not expired."""
        alive = and_(logins.c.state == LoginState.PENDING.value, logins.c.expires_at > now)
        found: set[AuthId] = set()
        async with read(self._engine) as connection:
            for part in parts(auth_ids):
                query = select(logins.c.auth_id).where(self._ours(alive, logins.c.auth_id.in_(part)))
                found.update(map(AuthId, (await connection.execute(query)).scalars()))
        return frozenset(found)

    async def replace(self, before: Login, after: Login) -> bool:
        """Update a login if its state is still that of `before`. Returns False if it is not."""
        unchanged = and_(
            logins.c.auth_id == before.auth_id,
            logins.c.state == before.state.value,
            logins.c.user_id == before.user_id,
        )
        query = update(logins).where(self._ours(unchanged)).values(_state(after))
        async with write(self._engine) as connection:
            return (await connection.execute(query)).rowcount == 1

    async def forget(self, machine_key: MachineKey, node_key: NodeKey) -> AuthId | None:
        """Delete the login of these keys and return its auth id, or None."""
        these = and_(logins.c.machine_key == machine_key.raw, logins.c.node_key == node_key.raw)
        async with write(self._engine) as connection:
            gone = await connection.execute(delete(logins).where(self._ours(these)).returning(logins.c.auth_id))
            auth_id = gone.scalar_one_or_none()
        return AuthId(auth_id) if auth_id is not None else None

    async def _make_room(
        self, connection: AsyncConnection, login: Login, network: str, limits: LoginLimits
    ) -> Displaced | None:
        """Return the login that a new one displaces, if any; None if the new one is refused."""
        per_network = select(logins.c.network, func.count()).where(self._ours()).group_by(logins.c.network)
        counts: dict[str, int] = {row[0]: row[1] for row in await connection.execute(per_network)}
        if counts.get(network, 0) >= limits.per_network:
            return [await self._least_advanced(connection, login, network)]
        if sum(counts.values()) < limits.total:
            return []
        loser = losing_group({network_path(name): number for name, number in counts.items()}, network_path(network))
        return None if loser is None else [await self._least_advanced(connection, login, loser[-1])]

    async def _least_advanced(self, connection: AsyncConnection, newcomer: Login, network: str) -> AuthId:
        verified = flows.c.state == FlowState.CONFIRMING.value
        started = or_(flows.c.state == FlowState.STARTED.value, flows.c.state == FlowState.CHECKING.value)
        progress = case((verified, Progress.SIGN_IN_VERIFIED), (started, Progress.SIGN_IN_STARTED), else_=0)
        alive = and_(flows.c.tailnet_id == self._tailnet, flows.c.expires_at > newcomer.created_at)
        query = (
            select(logins.c.auth_id, logins.c.state, func.max(progress))
            .select_from(logins.outerjoin(flows, and_(flows.c.auth_id == logins.c.auth_id, alive)))
            .where(self._ours(logins.c.network == network))
            .group_by(logins.c.auth_id, logins.c.state, logins.c.created_at)
            .order_by(*_AGE)
        )
        rows = await connection.execute(query)
        return AuthId(
            least_advanced([PendingEntry(auth_id, _progress(state, flow or 0)) for auth_id, state, flow in rows])
        )

    async def _one(self, connection: AsyncConnection, where: ColumnElement[bool]) -> Login | None:
        row = (await connection.execute(select(logins).where(self._ours(where)))).mappings().one_or_none()
        return _login(row) if row is not None else None

    def _where(self, network: str) -> dict[str, object]:
        return {"tailnet_id": self._tailnet, "network": network}

    def _ours(self, *where: ColumnElement[bool]) -> ColumnElement[bool]:
        return and_(logins.c.tailnet_id == self._tailnet, *where)


def _progress(state: str, flow: int) -> Progress:
    if state in (LoginState.ADMITTED.value, LoginState.REJECTED.value):
        return Progress.DECIDED
    if state == LoginState.APPROVED.value:
        return Progress.SIGN_IN_VERIFIED
    return Progress(max(flow, Progress.WAITING))


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
