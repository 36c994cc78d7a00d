"""The writes of one transaction under the lock of the tailnet's row: records, log, sessions, absences, relays."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from itertools import groupby
from typing import Literal, TypeVar

from sqlalchemy import ColumnElement, Table, delete, func, select, update

from services.registry.model.fact import (
    Fact,
    NodePut,
    NodeRemoved,
    RelayPut,
    RelayRemoved,
    SettingsPut,
    UserPut,
    UserRemoved,
)
from services.registry.sql import tables
from services.registry.sql.people import SqlPeople
from services.registry.sql.rows import departure_columns, node_columns, relay_columns, user_columns
from services.registry.sql.statements import ADVANCE, RECORD
from services.registry.store import FactCodec, GatewayRecord, Record
from services.shared.db.engine import AsyncConnection
from services.shared.db.parts import parts
from services.shared.ids import NodeId, TailnetId
from services.shared.rpc.presence import MODULUS, SessionsDigest

T = TypeVar("T")


class SqlTransaction(SqlPeople):
    """The writes of one tailnet; created once its row is locked."""

    def __init__(self, connection: AsyncConnection, tailnet: TailnetId, codec: FactCodec, position: int) -> None:
        super().__init__(connection, tailnet)
        self._codec = codec
        self._position = position
        self._last_ids: dict[str, int] = {}

    async def position(self) -> int:
        """Return the number of the newest change, which cannot change under the lock."""
        return self._position

    async def next_id(self, kind: Literal["node", "user"]) -> int:
        """Return an id that was never assigned before."""
        if kind not in self._last_ids:
            counters = tables.counters.c
            last: int | None = await self._connection.scalar(
                select(counters.last).where(counters.name == kind).with_for_update()
            )
            self._last_ids[kind] = last or 0
        self._last_ids[kind] += 1
        return self._last_ids[kind]

    async def finish(self) -> None:
        """Store the last assigned ids; called last before the commit."""
        counters = tables.counters
        for kind, last in self._last_ids.items():
            await self._connection.execute(update(counters).where(counters.c.name == kind).values(last=last))

    async def write(self, facts: Sequence[Fact], now: datetime) -> list[Record]:
        """Write the rows in the order of the facts, then the log."""
        for kind, run in groupby(facts, type):
            await self._write_run(kind, list(run))
        await self._write_departures(facts)
        first = self._position + 1
        records = [Record(seq, self._codec.encode(seq, now, fact)) for seq, fact in enumerate(facts, first)]
        rows = [
            {"tailnet_id": self._tailnet, "seq": record.seq, "time": now, "payload": record.payload}
            for record in records
        ]
        await RECORD.run(self._connection, rows)
        self._position += len(records)
        await ADVANCE.run(self._connection, [{"tailnet": self._tailnet, "position": self._position}])
        return records

    async def trim(self, keep: int, young: datetime, at_most: int) -> int:
        """Delete old records."""
        changes = tables.changes.c
        too_many = changes.seq <= self._position - at_most
        too_old = (changes.seq <= self._position - keep) & (changes.time < young)
        done = await self._connection.execute(
            delete(tables.changes).where(changes.tailnet_id == self._tailnet, too_many | too_old)
        )
        return done.rowcount

    async def trim_departures(self, before: datetime, at_most: int) -> None:
        """Delete old departures."""
        departures = tables.departures
        mine = departures.c.tailnet_id == self._tailnet
        newest = select(departures.c.departed_at).where(mine).order_by(departures.c.departed_at.desc())
        oldest_kept: datetime | None = await self._connection.scalar(newest.offset(at_most).limit(1))
        limit = before if oldest_kept is None else max(before, oldest_kept)
        await self._connection.execute(delete(departures).where(mine, departures.c.departed_at <= limit))

    async def gateway(self, gateway_id: str) -> GatewayRecord | None:
        """Return one gateway."""
        return next((gateway for gateway in await self.gateways() if gateway.gateway_id == gateway_id), None)

    async def put_gateway(self, gateway: GatewayRecord) -> None:
        """Add or change a gateway."""
        row = {"gateway_id": gateway.gateway_id, "heard_at": gateway.heard_at, "complete": gateway.complete}
        await self._upsert(tables.gateways, ["tailnet_id", "gateway_id"], [row])

    async def remove_gateway(self, gateway_id: str) -> set[NodeId]:
        """Delete a gateway and its sessions."""
        served = set((await self.sessions_of(gateway_id)).values())
        for table in (tables.sessions, tables.gateways):
            await self._connection.execute(
                delete(table).where(table.c.tailnet_id == self._tailnet, table.c.gateway_id == gateway_id)
            )
        return served

    async def sessions_of(self, gateway_id: str) -> dict[int, NodeId]:
        """Return the sessions of a gateway."""
        sessions = tables.sessions.c
        rows = await self._connection.execute(
            select(sessions.session_id, sessions.node_id).where(
                sessions.tailnet_id == self._tailnet, sessions.gateway_id == gateway_id
            )
        )
        return {session_id: NodeId(node_id) for session_id, node_id in rows}

    async def sessions_digest(self, gateway_id: str) -> SessionsDigest:
        """Return number and checksum of the sessions of a gateway."""
        sessions = tables.sessions.c
        term = (sessions.session_id % MODULUS) * (sessions.node_id % MODULUS + 1)
        row = await self._connection.execute(
            select(func.count(), func.coalesce(func.sum(term), 0)).where(
                sessions.tailnet_id == self._tailnet, sessions.gateway_id == gateway_id
            )
        )
        count, checksum = row.one()
        return SessionsDigest(int(count), int(checksum))

    async def open_sessions(self, gateway_id: str, sessions: Iterable[tuple[int, NodeId]]) -> None:
        """Insert sessions; keep those that exist."""
        rows = [
            {"gateway_id": gateway_id, "session_id": session_id, "node_id": node_id} for session_id, node_id in sessions
        ]
        await self._upsert(tables.sessions, ["tailnet_id", "gateway_id", "session_id"], rows)

    async def close_sessions(self, gateway_id: str, session_ids: Collection[int]) -> set[NodeId]:
        """Remove sessions."""
        sessions = tables.sessions
        served: set[NodeId] = set()
        for part in parts(session_ids):
            rows = await self._connection.execute(
                delete(sessions)
                .where(
                    sessions.c.tailnet_id == self._tailnet,
                    sessions.c.gateway_id == gateway_id,
                    sessions.c.session_id.in_(part),
                )
                .returning(sessions.c.node_id)
            )
            served.update(NodeId(node_id) for (node_id,) in rows)
        return served

    async def with_sessions(self, nodes: Collection[NodeId]) -> set[NodeId]:
        """Return those of the given nodes that have a session."""
        sessions = tables.sessions.c
        found: set[NodeId] = set()
        for part in parts(nodes):
            rows = await self._connection.execute(
                select(sessions.node_id)
                .where(sessions.tailnet_id == self._tailnet, sessions.node_id.in_(part))
                .distinct()
            )
            found.update(NodeId(node_id) for (node_id,) in rows)
        return found

    async def put_absences(self, nodes: Collection[NodeId], since: datetime) -> None:
        """Record that these nodes lost their last session; keep older records."""
        rows = [{"node_id": node_id, "since": since} for node_id in sorted(nodes)]
        await self._upsert(tables.absences, ["tailnet_id", "node_id"], rows, keep=True)

    async def remove_absences(self, nodes: Collection[NodeId]) -> None:
        """Delete the absences of these nodes."""
        await self._delete(tables.absences, tables.absences.c.node_id, nodes)

    async def hear_relay(self, name: str, now: datetime) -> None:
        """Store the time of a relay's announcement."""
        await self._upsert(tables.relays_heard, ["tailnet_id", "name"], [{"name": name, "heard_at": now}])

    async def _write_departures(self, facts: Sequence[Fact]) -> None:
        """Store the newest departure of each pair of addresses."""
        freed = {
            (fact.freed.ipv4, fact.freed.ipv6): fact.freed
            for fact in facts
            if isinstance(fact, NodePut | NodeRemoved) and fact.freed is not None
        }
        rows = [departure_columns(departure, self._tailnet) for departure in freed.values()]
        await self._upsert(tables.departures, ["tailnet_id", "ipv4", "ipv6"], rows)

    async def _write_run(self, kind: type[Fact], run: Sequence[Fact]) -> None:
        if kind is NodePut:
            rows = [node_columns(fact.node, self._tailnet) for fact in run if isinstance(fact, NodePut)]
            await self._upsert(tables.nodes, ["id"], rows)
        elif kind is UserPut:
            rows = [user_columns(fact.user, self._tailnet) for fact in run if isinstance(fact, UserPut)]
            await self._upsert(tables.users, ["id"], rows)
        elif kind is RelayPut:
            rows = [relay_columns(fact.relay, self._tailnet) for fact in run if isinstance(fact, RelayPut)]
            await self._upsert(tables.relays, ["tailnet_id", "name"], rows)
        elif kind is SettingsPut:
            documents = [{"document": fact.settings.to_bytes()} for fact in run if isinstance(fact, SettingsPut)]
            await self._upsert(tables.settings, ["tailnet_id"], documents[-1:])
        elif kind is NodeRemoved:
            gone = [fact.id for fact in run if isinstance(fact, NodeRemoved)]
            for table in (tables.sessions, tables.absences):
                await self._delete(table, table.c.node_id, gone)
            await self._delete(tables.nodes, tables.nodes.c.id, gone)
        elif kind is UserRemoved:
            users = [fact.id for fact in run if isinstance(fact, UserRemoved)]
            await self._delete(tables.users, tables.users.c.id, users)
        elif kind is RelayRemoved:
            names = [fact.name for fact in run if isinstance(fact, RelayRemoved)]
            for table in (tables.relays, tables.relays_heard):
                await self._delete(table, table.c.name, names)

    async def _delete(self, table: Table, column: ColumnElement[T], values: Collection[T]) -> None:
        """Delete the tailnet's rows with one of these values."""
        for part in parts(values):
            await self._connection.execute(delete(table).where(table.c.tailnet_id == self._tailnet, column.in_(part)))
