"""Reads of state, log and gateways on one connection, for use inside a transaction and outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from services.registry.model.state import State
from services.registry.sql import tables
from services.registry.sql.rows import departure_of, node_of, relay_of, user_of
from services.registry.sql.statements import POSITION
from services.registry.store import Absence, GatewayRecord, Record, StoreUnavailableError
from services.shared.db.engine import AsyncConnection
from services.shared.db.unavailable import DatabaseUnavailableError
from services.shared.ids import NodeId, TailnetId
from services.shared.tailnet_settings import TailnetSettings


@contextmanager
def translated() -> Iterator[None]:
    """Raise StoreUnavailableError for failures of the database. It names only their kind: messages may have values."""
    try:
        yield
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        if isinstance(error, DatabaseUnavailableError):
            raise StoreUnavailableError(str(error)) from error
        cause = getattr(error, "orig", None) or error
        raise StoreUnavailableError(f"the database failed: {type(cause).__name__}") from error


class SqlLog:
    """The reads of one tailnet on one connection."""

    def __init__(self, connection: AsyncConnection, tailnet: TailnetId) -> None:
        self._connection = connection
        self._tailnet = tailnet

    async def position(self) -> int:
        """Return the number of the newest change."""
        found: int | None = await POSITION.value(self._connection, {"tailnet_id": self._tailnet})
        return found or 0

    async def load(self) -> State:
        """Load the whole state, at one position if the transaction is isolated."""
        position = await self.position()
        nodes, users, relays, departures = tables.nodes, tables.users, tables.relays, tables.departures
        node_rows = await self._connection.execute(select(nodes).where(nodes.c.tailnet_id == self._tailnet))
        user_rows = await self._connection.execute(select(users).where(users.c.tailnet_id == self._tailnet))
        relay_rows = await self._connection.execute(select(relays).where(relays.c.tailnet_id == self._tailnet))
        departed = await self._connection.execute(
            select(departures).where(departures.c.tailnet_id == self._tailnet).order_by(departures.c.departed_at)
        )
        settings = await self._connection.scalar(
            select(tables.settings.c.document).where(tables.settings.c.tailnet_id == self._tailnet)
        )
        return State(
            map(node_of, node_rows.mappings()),
            map(user_of, user_rows.mappings()),
            map(relay_of, relay_rows.mappings()),
            map(departure_of, departed.mappings()),
            TailnetSettings.from_bytes(settings or b""),
            position=position,
        )

    async def records(self, after: int, limit: int) -> list[Record]:
        """Return the stored records after a position."""
        changes = tables.changes.c
        rows = await self._connection.execute(
            select(changes.seq, changes.payload)
            .where(changes.tailnet_id == self._tailnet, changes.seq > after)
            .order_by(changes.seq)
            .limit(limit)
        )
        return [Record(seq, payload) for seq, payload in rows]

    async def absences(self) -> list[Absence]:
        """Return all absences, oldest first."""
        absences = tables.absences.c
        rows = await self._connection.execute(
            select(absences.node_id, absences.since)
            .where(absences.tailnet_id == self._tailnet)
            .order_by(absences.since, absences.node_id)
        )
        return [Absence(NodeId(node_id), since) for node_id, since in rows]

    async def gateways(self) -> list[GatewayRecord]:
        """Return all gateways, the one with the oldest beat first."""
        gateways = tables.gateways.c
        rows = await self._connection.execute(
            select(gateways.gateway_id, gateways.heard_at, gateways.complete)
            .where(gateways.tailnet_id == self._tailnet)
            .order_by(gateways.heard_at, gateways.gateway_id)
        )
        return [GatewayRecord(gateway_id, heard_at, complete) for gateway_id, heard_at, complete in rows]

    async def relays_heard(self) -> Mapping[str, datetime]:
        """Return the time of each relay's last announcement."""
        heard = tables.relays_heard.c
        rows = await self._connection.execute(
            select(heard.name, heard.heard_at).where(heard.tailnet_id == self._tailnet)
        )
        return {row.name: row.heard_at for row in rows}
