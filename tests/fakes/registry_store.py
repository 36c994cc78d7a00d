"""The registry's store in memory, for use cases without a database. Passes the contract suite of the real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from services.registry.model.departure import Departure
from services.registry.model.fact import Fact, NodeRemoved, RelayRemoved
from services.registry.model.link import Link
from services.registry.model.node import Node
from services.registry.model.relay import Relay
from services.registry.model.standing import KEPT, HistoryEntry, Standing
from services.registry.model.state import State
from services.registry.model.user import User
from services.registry.store import Absence, FactCodec, GatewayRecord, Record, StoreUnavailableError
from services.shared.ids import NodeId, UserId
from services.shared.rpc.presence import SessionsDigest, checksum_of
from services.shared.tailnet_settings import TailnetSettings


@dataclass
class _Rows:
    """What is stored; copied at the start of a transaction, so that a rollback is to forget the copy."""

    seq: int = 0
    ids: dict[str, int] = field(default_factory=lambda: {"node": 0, "user": 0})
    nodes: dict[NodeId, Node] = field(default_factory=dict)
    users: dict[UserId, User] = field(default_factory=dict)
    relays: dict[str, Relay] = field(default_factory=dict)
    settings: TailnetSettings = field(default_factory=TailnetSettings)
    log: list[tuple[datetime, Record]] = field(default_factory=list)
    gateways: dict[str, GatewayRecord] = field(default_factory=dict)
    sessions: dict[tuple[str, int], NodeId] = field(default_factory=dict)
    absences: dict[NodeId, datetime] = field(default_factory=dict)
    heard: dict[str, datetime] = field(default_factory=dict)
    departures: list[Departure] = field(default_factory=list)
    links: dict[tuple[str, str], Link] = field(default_factory=dict)
    standings: dict[UserId, Standing] = field(default_factory=dict)
    history: list[HistoryEntry] = field(default_factory=list)

    def copy(self) -> _Rows:
        return _Rows(**{name: copy(value) for name, value in vars(self).items()})


class _FakeLog:
    def __init__(self, rows: _Rows) -> None:
        self._rows = rows

    async def position(self) -> int:
        return self._rows.seq

    async def load(self) -> State:
        rows = self._rows
        tables = rows.nodes.values(), rows.users.values(), rows.relays.values(), rows.departures, rows.settings
        return State(*tables, position=rows.seq)

    async def records(self, after: int, limit: int) -> list[Record]:
        return [record for _, record in self._rows.log if record.seq > after][:limit]

    async def absences(self) -> list[Absence]:
        rows = sorted(self._rows.absences.items(), key=lambda row: (row[1], row[0]))
        return [Absence(node_id, since) for node_id, since in rows]

    async def gateways(self) -> list[GatewayRecord]:
        return sorted(self._rows.gateways.values(), key=lambda gateway: (gateway.heard_at, gateway.gateway_id))

    async def relays_heard(self) -> Mapping[str, datetime]:
        return dict(self._rows.heard)


class _FakeTransaction(_FakeLog):
    def __init__(self, rows: _Rows, codec: FactCodec) -> None:
        super().__init__(rows)
        self._codec = codec

    async def next_id(self, kind: Literal["node", "user"]) -> int:
        self._rows.ids[kind] += 1
        return self._rows.ids[kind]

    async def write(self, facts: Sequence[Fact], now: datetime) -> list[Record]:
        rows, records = self._rows, []
        for fact in facts:
            state = await self.load()
            state.apply(fact)
            rows.nodes, rows.users, rows.relays = dict(state.nodes), dict(state.users), dict(state.relays)
            rows.departures = list(state.departures)
            rows.settings = state.settings
            if isinstance(fact, NodeRemoved):
                rows.absences.pop(fact.id, None)
                rows.sessions = {key: node_id for key, node_id in rows.sessions.items() if node_id != fact.id}
            if isinstance(fact, RelayRemoved):
                rows.heard.pop(fact.name, None)
            _check_unique(rows.nodes.values(), rows.users.values())
            rows.seq += 1
            record = Record(rows.seq, self._codec.encode(rows.seq, now, fact))
            rows.log.append((now, record))
            records.append(record)
        return records

    async def trim(self, keep: int, young: datetime, at_most: int) -> int:
        rows, before = self._rows, len(self._rows.log)
        rows.log = [
            (time, record)
            for time, record in rows.log
            if record.seq > rows.seq - at_most and (record.seq > rows.seq - keep or time >= young)
        ]
        return before - len(rows.log)

    async def trim_departures(self, before: datetime, at_most: int) -> None:
        departures = (await self.load()).departures
        departures.trim(before, at_most)
        self._rows.departures = list(departures)

    async def gateway(self, gateway_id: str) -> GatewayRecord | None:
        return self._rows.gateways.get(gateway_id)

    async def put_gateway(self, gateway: GatewayRecord) -> None:
        self._rows.gateways[gateway.gateway_id] = gateway

    async def remove_gateway(self, gateway_id: str) -> set[NodeId]:
        self._rows.gateways.pop(gateway_id, None)
        return await self.close_sessions(gateway_id, await self.sessions_of(gateway_id))

    async def sessions_of(self, gateway_id: str) -> dict[int, NodeId]:
        return {session: node for (gateway, session), node in self._rows.sessions.items() if gateway == gateway_id}

    async def sessions_digest(self, gateway_id: str) -> SessionsDigest:
        sessions = await self.sessions_of(gateway_id)
        return SessionsDigest(len(sessions), sum(checksum_of(*session) for session in sessions.items()))

    async def open_sessions(self, gateway_id: str, sessions: Iterable[tuple[int, NodeId]]) -> None:
        self._rows.sessions.update({(gateway_id, session_id): node_id for session_id, node_id in sessions})

    async def link(self, issuer: str, subject: str) -> Link | None:
        return self._rows.links.get((issuer, subject))

    async def links(self, user_id: UserId | None = None) -> list[Link]:
        found = [link for link in self._rows.links.values() if user_id in (None, link.user_id)]
        return sorted(found, key=lambda link: (link.user_id, link.issuer, link.subject))

    async def remove_link(self, issuer: str, subject: str) -> None:
        self._rows.links.pop((issuer, subject), None)

    async def history(self, user_id: UserId) -> list[HistoryEntry]:
        return [entry for entry in reversed(self._rows.history) if entry.user_id == user_id]

    async def put_link(self, link: Link) -> None:
        self._rows.links[link.issuer, link.subject] = link

    async def forget_person(self, user_id: UserId) -> None:
        rows = self._rows
        rows.links = {key: link for key, link in rows.links.items() if link.user_id != user_id}
        rows.standings.pop(user_id, None)
        rows.history = [entry for entry in rows.history if entry.user_id != user_id]

    async def standing(self, user_id: UserId) -> Standing | None:
        return self._rows.standings.get(user_id)

    async def put_standing(self, standing: Standing) -> None:
        self._rows.standings[standing.user_id] = standing

    async def add_history(self, entries: Sequence[HistoryEntry]) -> None:
        for entry in entries:
            what = entry.user_id, entry.attribute
            mine = [one for one in self._rows.history if (one.user_id, one.attribute) == what]
            if len(mine) >= KEPT:
                self._rows.history.remove(mine[0])
            self._rows.history.append(entry)

    async def close_sessions(self, gateway_id: str, session_ids: Collection[int]) -> set[NodeId]:
        closed = [self._rows.sessions.pop((gateway_id, session_id), None) for session_id in session_ids]
        return {node_id for node_id in closed if node_id is not None}

    async def with_sessions(self, nodes: Collection[NodeId]) -> set[NodeId]:
        return set(self._rows.sessions.values()) & set(nodes)

    async def put_absences(self, nodes: Collection[NodeId], since: datetime) -> None:
        for node_id in nodes:
            self._rows.absences.setdefault(node_id, since)

    async def remove_absences(self, nodes: Collection[NodeId]) -> None:
        for node_id in nodes:
            self._rows.absences.pop(node_id, None)

    async def hear_relay(self, name: str, now: datetime) -> None:
        self._rows.heard[name] = now


class FakeRegistryStore(_FakeLog):
    """One tailnet's rows in memory."""

    def __init__(self, codec: FactCodec) -> None:
        super().__init__(_Rows())
        self._codec = codec
        self._lock = asyncio.Lock()
        self.failures = 0
        """How many of the next commits fail before they are stored."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[_FakeTransaction]:
        """Lock, work on a copy, keep the copy at the end."""
        async with self._lock:
            rows = self._rows.copy()
            yield _FakeTransaction(rows, self._codec)
            if self.failures:
                self.failures -= 1
                raise StoreUnavailableError("the database failed: as the test wanted")
            self._rows = rows


def _check_unique(nodes: Iterable[Node], users: Iterable[User]) -> None:
    nodes = list(nodes)
    columns = [[node.node_key.raw for node in nodes], [node.given_name for node in nodes]]
    columns += [[node.stable_id for node in nodes], [user.name for user in users]]
    columns += [[node.ipv4 for node in nodes if node.ipv4], [node.ipv6 for node in nodes if node.ipv6]]
    if any(len(set(column)) != len(column) for column in columns):
        raise StoreUnavailableError("the database failed: UniqueViolation")
