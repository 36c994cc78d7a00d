"""The port to the database: one tailnet's rows, its numbered log, and a lock on both.

`Store.transaction` holds the tailnet's lock from its first statement, so whoever is inside sees the newest state and
nobody else can number a change. Every failure of the database is `StoreUnavailableError`.
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
    """One row of the log as readers get it."""

    seq: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class GatewayRecord:
    """A gateway that reports sessions."""

    gateway_id: str
    heard_at: datetime
    complete: bool
    """Whether it ever reported all its sessions: until then it is asked to."""


@dataclass(frozen=True, slots=True)
class Absence:
    """A node whose last session ended and that is not marked offline yet."""

    node_id: NodeId
    since: datetime


class FactCodec(Protocol):
    """How facts become payloads of the log, and facts again."""

    def encode(self, seq: int, time: datetime, fact: Fact) -> bytes:
        """The payload of one change."""
        ...

    def decode(self, payload: bytes) -> Fact:
        """What `encode` was given."""
        ...


class Log(Protocol):
    """What can be read, inside a transaction or outside."""

    async def position(self) -> int:
        """The number of the newest change; 0 before the first."""
        ...

    async def load(self) -> State:
        """Everything, at one position."""
        ...

    async def records(self, after: int, limit: int) -> list[Record]:
        """The records after a position, in order, as far as they are kept: the first may not be `after + 1`."""
        ...

    async def absences(self) -> list[Absence]:
        """All absences, oldest first."""
        ...

    async def gateways(self) -> list[GatewayRecord]:
        """All gateways, the one longest unheard first."""
        ...

    async def relays_heard(self) -> Mapping[str, datetime]:
        """When each relay last announced itself."""
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
        """Forget records beyond the last `keep` that are older than `young`, and all beyond the last `at_most`."""
        ...

    async def gateway(self, gateway_id: str) -> GatewayRecord | None:
        """One gateway."""
        ...

    async def put_gateway(self, gateway: GatewayRecord) -> None:
        """Add or change a gateway."""
        ...

    async def remove_gateway(self, gateway_id: str) -> set[NodeId]:
        """Forget a gateway and its sessions; returns the nodes that these served."""
        ...

    async def sessions_of(self, gateway_id: str) -> dict[int, NodeId]:
        """The sessions of a gateway."""
        ...

    async def sessions_digest(self, gateway_id: str) -> SessionsDigest:
        """Return number and checksum of the sessions of a gateway."""
        ...

    async def open_sessions(self, gateway_id: str, sessions: Iterable[tuple[int, NodeId]]) -> None:
        """Insert sessions; keep those that exist."""
        ...

    async def close_sessions(self, gateway_id: str, session_ids: Collection[int]) -> set[NodeId]:
        """Remove sessions; returns the nodes that they served."""
        ...

    async def with_sessions(self, nodes: Collection[NodeId]) -> set[NodeId]:
        """Those of these nodes that have a session at any gateway."""
        ...

    async def put_absences(self, nodes: Collection[NodeId], since: datetime) -> None:
        """Record that these nodes lost their last session; keep older records."""
        ...

    async def remove_absences(self, nodes: Collection[NodeId]) -> None:
        """Delete the absences of these nodes."""
        ...

    async def link(self, issuer: str, subject: str) -> Link | None:
        """The link of an identity."""
        ...

    async def links(self, user_id: UserId | None = None) -> list[Link]:
        """The links of a user or of everybody, ordered by user, issuer and subject."""
        ...

    async def remove_link(self, issuer: str, subject: str) -> None:
        """Forget an identity."""
        ...

    async def history(self, user_id: UserId) -> list[HistoryEntry]:
        """A user's history, newest first."""
        ...

    async def put_link(self, link: Link) -> None:
        """Add or change the link of an identity."""
        ...

    async def forget_person(self, user_id: UserId) -> None:
        """Forget a user's links, standing and history."""
        ...

    async def standing(self, user_id: UserId) -> Standing | None:
        """The last change of a user's standing."""
        ...

    async def put_standing(self, standing: Standing) -> None:
        """Note the last change of a user's standing."""
        ...

    async def add_history(self, entries: Sequence[HistoryEntry]) -> None:
        """Add to histories; of each attribute of a person only the last entries are kept."""
        ...

    async def hear_relay(self, name: str, now: datetime) -> None:
        """Note that a relay announced itself."""
        ...


class Store(Log, Protocol):
    """One tailnet's rows."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Begin, lock the tailnet, and commit at the end of the block unless it raises."""
        ...
