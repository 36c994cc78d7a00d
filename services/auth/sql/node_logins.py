"""The logins that admitted nodes, in the database."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import ColumnElement, RowMapping, and_, delete, insert, select

from services.auth.model.node_login import NodeLogin
from services.auth.sql.tables import node_logins
from services.shared.db.database import read, write
from services.shared.db.engine import AsyncEngine
from services.shared.ids import NodeId, TailnetId


class SqlNodeLogins:
    """The node logins of one tailnet."""

    def __init__(self, engine: AsyncEngine, tailnet: TailnetId) -> None:
        self._engine = engine
        self._tailnet = tailnet

    async def put(self, login: NodeLogin) -> None:
        """Insert or replace the login that admitted a node."""
        async with write(self._engine) as connection:
            await connection.execute(delete(node_logins).where(self._ours(node_logins.c.node_id == login.node_id)))
            await connection.execute(insert(node_logins).values({**asdict(login), "tailnet_id": self._tailnet}))

    async def of_identity(self, issuer: str, subject: str, sid: str = "") -> tuple[NodeLogin, ...]:
        """List the logins of an identity, or of one session of it, ordered by node."""
        identity = and_(node_logins.c.issuer == issuer, node_logins.c.subject == subject)
        return await self._find(and_(identity, node_logins.c.sid == sid) if sid else identity)

    async def _find(self, where: ColumnElement[bool]) -> tuple[NodeLogin, ...]:
        query = select(node_logins).where(self._ours(where)).order_by(node_logins.c.node_id)
        async with read(self._engine) as connection:
            return tuple(_login(row) for row in (await connection.execute(query)).mappings())

    def _ours(self, where: ColumnElement[bool]) -> ColumnElement[bool]:
        return and_(node_logins.c.tailnet_id == self._tailnet, where)


def _login(row: RowMapping) -> NodeLogin:
    return NodeLogin(
        node_id=NodeId(row["node_id"]),
        provider=row["provider"],
        issuer=row["issuer"],
        subject=row["subject"],
        sid=row["sid"],
        started_at=row["started_at"],
        checked_at=row["checked_at"],
        ends_at=row["ends_at"],
    )
