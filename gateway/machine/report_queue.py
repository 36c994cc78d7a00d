"""Orders the reports of each node: one is stored at a time, at a bounded rate, and the newest replaces those that wait.

A report that a newer one replaced is answered only when that one is stored; if it is not, because the registry failed
or its client went away, the replaced report is stored after all. So every report that was acknowledged is stored or was
followed by one that is. Knows no request and no registry; the clock is an argument.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from enum import Enum, auto

from services.shared.keys import MachineKey, NodeKey
from services.shared.rate import Buckets

COST_UNIT = 4096
"""Bytes of a report per token of its machine's rate: a change is sent to every node that sees this one."""
MAX_COST = 64
"""Tokens of the largest report, so that it is stored within a minute at the default rate."""


class Outcome(Enum):
    """The fate of a report."""

    STORED = auto()
    REPLACED = auto()
    """A newer report of the node was stored."""
    FAILED = auto()


class _Report:
    """One report while it waits."""

    __slots__ = ("done", "replaced", "stored", "successor")

    def __init__(self) -> None:
        self.successor: _Report | None = None
        self.replaced = asyncio.Event()
        self.done = asyncio.Event()
        self.stored = False
        """Whether this report or a newer one was stored."""

    def replace_by(self, newer: _Report) -> None:
        self.successor = newer
        self.replaced.set()


class _NodeQueue:
    """The reports of one node."""

    __slots__ = ("lock", "newest", "users")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.newest: _Report | None = None
        self.users = 0


class ReportQueue:
    """Stores reports in order; without `rate` as fast as they come."""

    def __init__(self, rate: Buckets | None, now: Callable[[], float]) -> None:
        self._rate, self._now = rate, now
        self._queues: dict[tuple[MachineKey, NodeKey], _NodeQueue] = {}

    def __len__(self) -> int:
        return len(self._queues)

    async def store(
        self, machine: MachineKey, node: NodeKey, size: int, store: Callable[[], Awaitable[bool]]
    ) -> Outcome:
        """Store a report of `size` bytes when its turn comes, unless a newer one is stored in its place.

        `store` returns whether it succeeded; it is called at most once.
        """
        key = machine, node
        queue = self._queues.setdefault(key, _NodeQueue())
        queue.users += 1
        report = _Report()
        if queue.newest is not None:
            queue.newest.replace_by(report)
        queue.newest = report
        try:
            async with queue.lock:
                if await self._wait(machine, size, report.replaced):
                    report.stored = await store()
                    return Outcome.STORED if report.stored else Outcome.FAILED
            if await _newer_is_stored(report):
                report.stored = True
                return Outcome.REPLACED
            async with queue.lock:
                report.stored = await store()
                return Outcome.STORED if report.stored else Outcome.FAILED
        finally:
            report.done.set()
            queue.users -= 1
            if not queue.users:
                del self._queues[key]

    async def _wait(self, machine: MachineKey, size: int, replaced: asyncio.Event) -> bool:
        """Wait until the rate allows a report. Returns False if a newer one has replaced it."""
        if self._rate is None:
            return not replaced.is_set()
        for _ in range(min(MAX_COST, 1 + size // COST_UNIT)):
            while not replaced.is_set() and (delay := self._rate.delay(machine, self._now())) > 0:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(delay):
                        await replaced.wait()
            if replaced.is_set():
                return False
            self._rate.take(machine, self._now())
        return not replaced.is_set()


async def _newer_is_stored(report: _Report) -> bool:
    """Wait for the reports that replaced one. Returns whether any of them was stored."""
    newer = report.successor
    while newer is not None:
        await newer.done.wait()
        if newer.stored:
            return True
        newer = newer.successor
    return False
