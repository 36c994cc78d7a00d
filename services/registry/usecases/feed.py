"""Reads of the change log by other services: a snapshot, and pages of records after a position."""

from __future__ import annotations

from dataclasses import dataclass

from services.registry.model.node import Node
from services.registry.model.relay import Relay
from services.registry.model.state import State
from services.registry.model.user import User
from services.registry.store import Record, Store
from services.registry.usecases.ledger import Ledger
from services.shared.tailnet_settings import TailnetSettings

PAGE = 1000
_MAX_BYTES = 2 << 20
"""Maximum bytes of the payloads of a page; a larger record has a page of its own."""


@dataclass(frozen=True, slots=True)
class TailnetSnapshot:
    """The whole state at one position."""

    position: int
    nodes: tuple[Node, ...]
    users: tuple[User, ...]
    relays: tuple[Relay, ...]
    settings: TailnetSettings


@dataclass(frozen=True, slots=True)
class LogPage:
    """Records after a position; `reset` if some of them were deleted."""

    records: tuple[Record, ...]
    reset: bool
    last: int


class Feed:
    """Use cases of readers of the log."""

    def __init__(self, ledger: Ledger, store: Store) -> None:
        self._ledger = ledger
        self._store = store

    async def snapshot(self) -> TailnetSnapshot:
        """Return the whole state, at one position."""

        def read(state: State) -> TailnetSnapshot:
            return TailnetSnapshot(
                state.position,
                tuple(state.nodes_after(0)),
                tuple(sorted(state.users.values(), key=lambda user: user.id)),
                tuple(sorted(state.relays.values(), key=lambda relay: relay.name)),
                state.settings,
            )

        return await self._ledger.read(read)

    async def changes(self, after: int) -> LogPage:
        """Return the records after a position.

        Raises:
            StoreUnavailableError: the database cannot be read.
        """
        last = await self._store.position()
        if after > last:
            return LogPage((), True, last)
        records = await self._store.records(after, PAGE) if after < last else []
        if after < last and (not records or records[0].seq != after + 1):
            return LogPage((), True, last)
        size, kept = 0, 0
        for record in records:
            size += len(record.payload)
            if kept and size > _MAX_BYTES:
                break
            kept += 1
        return LogPage(tuple(records[:kept]), False, max(last, records[-1].seq if records else 0))
