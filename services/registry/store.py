"""The protocol of the database: one tailnet's rows, its numbered log, and a lock on both.

`Store.transaction` holds the tailnet's lock from its first statement, so its holder sees the newest state and
alone can number a change. Every failure of the database is `StoreUnavailableError`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from services.registry.model.errors import UnavailableError
from services.registry.model.fact import Fact
from services.registry.model.link import Link
from services.registry.model.standing import HistoryEntry, Standing
from services.registry.model.state import State
from services.shared.ids import NodeId, UserId
from services.shared.rpc.presence import SessionsDigest


class StoreUnavailableError(UnavailableError):
    """The database failed; whether the transaction was committed is unknown."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the log, as readers get it."""

    seq: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class GatewayRecord:
    """A gateway that reports sessions."""

    gateway_id: str
    heard_at: datetime
    complete: bool
    """True once it has reported all its sessions; until then it is asked for all."""


@dataclass(frozen=True, slots=True)
class Absence:
    """A node whose last session ended and that is not marked offline yet."""

    node_id: NodeId
    since: datetime


class FactCodec(Protocol):
    """Encoder and decoder of facts as payloads of the log."""

    def encode(self, seq: int, time: datetime, fact: Fact) -> bytes:
        """Return the payload of one change."""
        ...

    def decode(self, payload: bytes) -> Fact:
        """Return the fact of a payload."""
        ...


class Log(Protocol):
    """The reads, inside a transaction and outside."""

    async def position(self) -> int:
        """Return the number of the newest change; 0 before the first."""
        ...

    async def load(self) -> State:
        """Load the whole state, at one position."""
        ...

    async def records(self, after: int, limit: int) -> list[Record]:
        """Return stored records after a position, in order; old ones are deleted, so not always from `after + 1`."""
        ...

    async def absences(self) -> list[Absence]:
        """Return all absences, oldest first."""
        ...

    async def gateways(self) -> list[GatewayRecord]:
        """Return all gateways, the one with the oldest beat first."""
        ...

    async def relays_heard(self) -> Mapping[str, datetime]:
        """Return the time of each relay's last announcement."""
        ...


class Transaction(Log, Protocol):
    """One transaction that holds the tailnet's lock."""

    async def next_id(self, kind: Literal["node", "user"]) -> int:
        """Return an id that was never assigned before."""
        ...

    async def write(self, facts: Sequence[Fact], now: datetime) -> list[Record]:
        """Apply facts to the rows in this order, and append each to the log."""
        ...

    async def trim(self, keep: int, young: datetime, at_most: int) -> int:
        """Delete records beyond the last `keep` that are older than `young`, and all beyond the last `at_most`."""
        ...

    async def trim_departures(self, before: datetime, at_most: int) -> None:
        """Delete the departures before a time, and the oldest beyond a number."""
        ...

    async def gateway(self, gateway_id: str) -> GatewayRecord | None:
        """Return one gateway."""
        ...

    async def put_gateway(self, gateway: GatewayRecord) -> None:
        """Add or change a gateway."""
        ...

    async def remove_gateway(self, gateway_id: str) -> set[NodeId]:
        """Delete a gateway and its sessions. Returns the nodes of these sessions."""
        ...

    async def sessions_of(self, gateway_id: str) -> dict[int, NodeId]:
        """Return the sessions of a gateway."""
        ...

    async def sessions_digest(self, gateway_id: str) -> SessionsDigest:
        """Return number and checksum of the sessions of a gateway."""
        ...

    async def open_sessions(self, gateway_id: str, sessions: Iterable[tuple[int, NodeId]]) -> None:
        """Insert sessions; keep those that exist."""
        ...

    async def close_sessions(self, gateway_id: str, session_ids: Collection[int]) -> set[NodeId]:
        """Remove sessions. Returns the nodes of these sessions."""
        ...

    async def with_sessions(self, nodes: Collection[NodeId]) -> set[NodeId]:
        """Return those of the given nodes that have a session at any gateway."""
        ...

    async def put_absences(self, nodes: Collection[NodeId], since: datetime) -> None:
        """Record that these nodes lost their last session; keep older records."""
        ...

    async def remove_absences(self, nodes: Collection[NodeId]) -> None:
        """Delete the absences of these nodes."""
        ...

    async def link(self, issuer: str, subject: str) -> Link | None:
        """Return the link of an identity."""
        ...

    async def links(self, user_id: UserId | None = None) -> list[Link]:
        """Return the links of one user or of all, ordered by user, issuer and subject."""
        ...

    async def remove_link(self, issuer: str, subject: str) -> None:
        """Delete the link of an identity."""
        ...

    async def history(self, user_id: UserId) -> list[HistoryEntry]:
        """Return a user's history, newest first."""
        ...

    async def put_link(self, link: Link) -> None:
        """Add or change the link of an identity."""
        ...

    async def forget_person(self, user_id: UserId) -> None:
        """Delete a user's links, standing and history."""
        ...

    async def standing(self, user_id: UserId) -> Standing | None:
        """Return the last change of a user's standing."""
        ...

    async def put_standing(self, standing: Standing) -> None:
        """Store the last change of a user's standing."""
        ...

    async def add_history(self, entries: Sequence[HistoryEntry]) -> None:
        """Add history entries; only the last entries of each attribute of a person are stored."""
        ...

    async def hear_relay(self, name: str, now: datetime) -> None:
        """Store the time of a relay's announcement."""
        ...


class Store(Log, Protocol):
    """One tailnet's rows."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Begin, lock the tailnet, and commit at the end of the block unless it raises."""
        ...
