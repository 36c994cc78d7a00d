"""How often one machine may do what costs us and others: open map sessions, register, ask about SSH sessions, report.

The clock is an argument. Opening, registering and asking too often is refused with the time to wait. A report is never
refused for that: it waits for its turn, and one that comes later takes its place, so the last word of a node is always
stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Literal

from gateway.machine.metrics import MachineMetrics
from gateway.machine.refusal import Refusal
from services.shared.keys import MachineKey, NodeKey
from services.shared.rate import Buckets, buckets_of

What = Literal["map", "register", "ssh"]
ATTEMPT_BURST_SECONDS = 15
REPORT_BURST_SECONDS = 10
SSH_FACTOR = 5
"""A script may well open SSH sessions faster than a machine has reason to reconnect, and each asks."""
CAPACITY = 1 << 17
"""Machines that are remembered; the one seen least recently is forgotten first."""

_Node = tuple[MachineKey, NodeKey]


class _Turns:
    """Those of one node who want to report."""

    __slots__ = ("lock", "newest", "users")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.newest: asyncio.Event | None = None
        """Set once a newer one is here."""
        self.users = 0


class Pace:
    """Counts by machine; zero per second means no limit."""

    def __init__(
        self,
        attempts_per_second: float,
        reports_per_second: float,
        metrics: MachineMetrics,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics, self._now = metrics, now
        self._attempts: dict[What, Buckets | None] = {
            "map": buckets_of(attempts_per_second, ATTEMPT_BURST_SECONDS, CAPACITY),
            "register": buckets_of(attempts_per_second, ATTEMPT_BURST_SECONDS, CAPACITY),
            "ssh": buckets_of(attempts_per_second * SSH_FACTOR, ATTEMPT_BURST_SECONDS, CAPACITY),
        }
        self._reports = buckets_of(reports_per_second, REPORT_BURST_SECONDS, CAPACITY)
        self._turns: dict[_Node, _Turns] = {}

    def refuses(self, what: What, machine: MachineKey) -> Refusal | None:
        """Count an attempt; when there were too many it is not counted, and this is its refusal."""
        buckets = self._attempts[what]
        if buckets is None:
            return None
        now = self._now()
        if wait := buckets.wait(machine, now):
            self._metrics.limited.labels(what).inc()
            return Refusal(429, f"too many requests of this machine, try again in {wait} s", retry_after=wait)
        buckets.take(machine, now)
        return None

    @asynccontextmanager
    async def turn(self, machine: MachineKey, node: NodeKey) -> AsyncIterator[bool]:
        """Wait until this node may report again; gives whether this report is still its newest.

        Reports of a node are stored one after the other. Who waits and is overtaken by a newer one need not be stored.
        """
        name = machine, node
        turns = self._turns.setdefault(name, _Turns())
        turns.users += 1
        if turns.newest is not None:
            turns.newest.set()
        overtaken = turns.newest = asyncio.Event()
        try:
            async with turns.lock:
                await self._wait(machine, overtaken)
                if overtaken.is_set():
                    self._metrics.limited.labels("report").inc()
                yield not overtaken.is_set()
        finally:
            turns.users -= 1
            if not turns.users:
                del self._turns[name]

    async def _wait(self, machine: MachineKey, overtaken: asyncio.Event) -> None:
        if self._reports is None or overtaken.is_set():
            return
        while (delay := self._reports.delay(machine, self._now())) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await overtaken.wait()
            if overtaken.is_set():
                return
        self._reports.take(machine, self._now())
