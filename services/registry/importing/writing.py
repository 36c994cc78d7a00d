"""Reads the tailnet's state for an import and writes the rows of a plan, inside the caller's transaction.

Each row is numbered as a change under the tailnet's lock, like every other change, so that a running registry and its
replicas pick it up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from sqlalchemy import func, select, update

from services.registry.change_codec import ProtoFactCodec
from services.registry.importing.planning import RegistryPlan
from services.registry.model.fact import NodePut, UserPut
from services.registry.model.link import Link
from services.registry.model.state import State
from services.registry.sql import SqlStore, tables
from services.registry.sql.people import SqlPeople
from services.registry.sql.statements import LOCK
from services.registry.sql.transaction import SqlTransaction
from services.shared.db.engine import AsyncConnection, AsyncEngine
from services.shared.db.parts import MAX_ROWS, parts
from services.shared.ids import TailnetId


class RegistryTarget:
    """The registry's tables of one tailnet."""

    def __init__(self, tailnet: TailnetId) -> None:
        self._tailnet = tailnet
        self._codec = ProtoFactCodec(tailnet)

    async def prepare(self, engine: AsyncEngine) -> None:
        """Bring the tables to the newest version."""
        await SqlStore(engine, self._tailnet, self._codec).prepare()

    async def lock(self, connection: AsyncConnection) -> SqlTransaction:
        """Lock the tailnet's row; call it before any other write."""
        position = await LOCK.value(connection, {"tailnet_id": self._tailnet})
        return SqlTransaction(connection, self._tailnet, self._codec, position or 0)

    async def known(self, connection: AsyncConnection) -> tuple[State, Sequence[Link]]:
        """Return the tailnet's state and links."""
        rows = SqlPeople(connection, self._tailnet)
        return await rows.load(), await rows.links()

    async def last_gateway(self, connection: AsyncConnection) -> datetime | None:
        """Return the time of the last beat of any gateway; None if there is none."""
        heard = tables.gateways.c
        found: datetime | None = await connection.scalar(
            select(func.max(heard.heard_at)).where(heard.tailnet_id == self._tailnet)
        )
        return found

    async def write(
        self, transaction: SqlTransaction, plan: RegistryPlan, now: datetime, progress: Callable[[str, int], None]
    ) -> None:
        """Write all rows of a plan."""
        for users in parts(plan.users, MAX_ROWS):
            await transaction.write([UserPut(user) for user in users], now)
        for link in plan.links:
            await transaction.put_link(link)
        written = 0
        for nodes in parts(plan.nodes, MAX_ROWS):
            await transaction.write([NodePut(node) for node in nodes], now)
            written += len(nodes)
            progress("writing nodes", written)

    async def remember_ids(self, connection: AsyncConnection, plan: RegistryPlan) -> None:
        """Raise the id counters, so that no id of the old server is assigned again."""
        counters = tables.counters
        for name, last in (("user", plan.last_user_id), ("node", plan.last_node_id)):
            await connection.execute(
                update(counters).where(counters.c.name == name, counters.c.last < last).values(last=last)
            )
