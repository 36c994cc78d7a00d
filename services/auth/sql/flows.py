"""Sign-ins in progress in the database: any instance may take the next step, and only one can take each."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, delete, insert, select, update

from services.auth.model.login import AuthId
from services.auth.model.oidc.flow import FlowKind, FlowState, SignInFlow
from services.auth.sql.tables import flows
from services.shared.db.database import read, write
from services.shared.db.engine import AsyncEngine
from services.shared.db.parts import parts
from services.shared.ids import TailnetId, UserId


class SqlFlows:
    """The sign-ins of one tailnet."""

    def __init__(self, engine: AsyncEngine, tailnet: TailnetId) -> None:
        self._engine = engine
        self._tailnet = tailnet

    async def add(self, flow: SignInFlow, at_most: int) -> None:
        """Insert a sign-in, delete expired ones, and keep only the newest `at_most` of the same login."""
        of_login = flows.c.auth_id == flow.auth_id
        newest = select(flows.c.flow_id).where(self._ours(of_login)).order_by(flows.c.flow_id.desc())
        async with write(self._engine) as connection:
            await connection.execute(delete(flows).where(self._ours(flows.c.expires_at <= flow.created_at)))
            await connection.execute(insert(flows).values({**_row(flow), "tailnet_id": self._tailnet}))
            surplus = (await connection.execute(newest.offset(at_most))).scalars().all()
            for part in parts(surplus):
                await connection.execute(delete(flows).where(self._ours(flows.c.flow_id.in_(part))))

    async def get(self, flow_id: str) -> SignInFlow | None:
        """Return a sign-in, expired or not, or None."""
        async with read(self._engine) as connection:
            rows = await connection.execute(select(flows).where(self._ours(flows.c.flow_id == flow_id)))
            row = rows.mappings().one_or_none()
        return _flow(row) if row is not None else None

    async def replace(self, before: SignInFlow, after: SignInFlow) -> bool:
        """Update a sign-in if its state is still that of `before`. Returns False for all but one of several callers."""
        unchanged = and_(flows.c.flow_id == before.flow_id, flows.c.state == before.state.value)
        async with write(self._engine) as connection:
            done = await connection.execute(update(flows).where(self._ours(unchanged)).values(_row(after)))
            return done.rowcount == 1

    def _ours(self, *where: ColumnElement[bool]) -> ColumnElement[bool]:
        return and_(flows.c.tailnet_id == self._tailnet, *where)


def _row(flow: SignInFlow) -> dict[str, Any]:
    return {**asdict(flow), "state": flow.state.value, "kind": flow.kind.value, "notices": list(flow.notices)}


def _flow(row: RowMapping) -> SignInFlow:
    values: dict[str, Any] = {name: row[name] for name in row if name != "tailnet_id"}
    values["state"] = FlowState(row["state"])
    values["kind"] = FlowKind(row["kind"])
    values["auth_id"] = AuthId(row["auth_id"])
    values["user_id"] = UserId(row["user_id"])
    values["notices"] = tuple(row["notices"])
    return SignInFlow(**values)
