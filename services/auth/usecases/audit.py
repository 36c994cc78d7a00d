"""The audit log: calls recorded before they are made, appended with their result, verified, removed when they are old.

A call is stored twice: as one without a result before it is made, and in the log afterwards. A server that ends between
the two leaves the first, which `sweep` appends as interrupted. So each call that was answered has exactly one entry.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from services.auth.model.audit import PATIENCE, RETENTION, Anchor, ChainedEntry, Verdict, verify
from services.auth.store.audit import AuditStore
from services.shared.runtime.clock import Clock
from services.shared.telemetry import get_logger

log = get_logger(__name__)

MAX_ENTRIES = 1000
"""Most entries of one list."""
_PRUNED = 1000
"""Entries removed in one transaction."""


class Audit:
    """The audit log of one tailnet."""

    def __init__(self, store: AuditStore, clock: Clock, interrupted: Callable[[bytes], bytes]) -> None:
        """Keep the log in a store; `interrupted` gives the body of a call the result that it was interrupted."""
        self._store = store
        self._clock = clock
        self._interrupted = interrupted

    async def begin(self, event_id: str, at: datetime, body: bytes) -> None:
        """Record a call that is about to be made; repeating it is harmless."""
        await self._store.begin(event_id, at, body)

    async def finish(self, event_id: str, at: datetime, body: bytes) -> None:
        """Append a call with its result, unless it was appended already."""
        await self._store.finish(event_id, at, body)

    async def list(
        self, after: int, limit: int, *, newest: bool, start: datetime | None = None, end: datetime | None = None
    ) -> tuple[ChainedEntry, ...]:
        """List entries after a position, or the newest ones, in order; those between `start` and `end`, if given."""
        limit = min(limit or MAX_ENTRIES // 2, MAX_ENTRIES)
        if newest:
            _, head = await self._store.ends()
            after = max(after, head.seq - limit)
        return await self._store.entries(after, limit, start, end)

    async def verify(self) -> Verdict:
        """Compute the hash of every entry again, and compare."""
        first, head = await self._store.ends()
        found = await self._verify(first, head)
        if found.first_wrong and (await self._store.ends())[0] != first:
            return await self.verify()  # entries became old meanwhile
        return found

    async def _verify(self, start: Anchor, head: Anchor) -> Verdict:
        verdict = Verdict(0, start.hash)
        while True:
            part = await self._store.entries(start.seq, MAX_ENTRIES)
            part = tuple(link for link in part if link.seq <= head.seq)
            last = len(part) < MAX_ENTRIES
            end = head if last or not part else _anchor(part[-1])
            found = verify(start, part, end)
            verdict = Verdict(verdict.entries + found.entries, found.last_hash, found.first_wrong, found.problem)
            if found.first_wrong or last:
                return verdict
            start = end

    async def sweep(self) -> int:
        """Append calls that never got a result, and remove entries that are old. Returns the number of the former."""
        now = self._clock.now()
        unfinished = await self._store.unfinished(now - PATIENCE)
        for event_id, at, body in unfinished:
            await self._store.finish(event_id, at, self._interrupted(body))
            log.warning("administration call was interrupted", event_id=event_id)
        while await self._store.prune(now - RETENTION, _PRUNED) == _PRUNED:
            pass
        return len(unfinished)


def _anchor(link: ChainedEntry) -> Anchor:
    return Anchor(link.seq, link.hash)
