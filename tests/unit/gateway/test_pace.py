"""The pace of one machine: refusals that say when to come back, and reports whose last word is always stored."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry

from gateway.machine.metrics import MachineMetrics
from gateway.machine.pace import Pace
from services.shared.keys import MachineKey, NodeKey

MACHINE, OTHER = MachineKey(b"\1" * 32), MachineKey(b"\2" * 32)
NODE = NodeKey(b"\3" * 32)


def pace(attempts: float = 0, reports: float = 0, now: float = 100.0) -> tuple[Pace, CollectorRegistry]:
    registry = CollectorRegistry()
    return Pace(attempts, reports, MachineMetrics(registry), lambda: now), registry


def limited(registry: CollectorRegistry, request: str) -> float:
    return registry.get_sample_value("smartscale_machine_limited_total", {"request": request}) or 0.0


def test_map_sessions_and_registrations_are_counted_apart_and_per_machine() -> None:
    limit, registry = pace(attempts=2)
    answers = [limit.refuses("map", MACHINE) for _ in range(31)]
    refusal = answers[-1]
    assert answers[:30] == [None] * 30
    assert refusal is not None and (refusal.status, refusal.retry_after) == (429, 1)
    assert limit.refuses("register", MACHINE) is None and limit.refuses("map", OTHER) is None
    assert (limited(registry, "map"), limited(registry, "register")) == (1, 0)


def test_without_a_limit_nothing_is_refused() -> None:
    limit, _ = pace()
    assert all(limit.refuses("map", MACHINE) is None for _ in range(1000))


class Reporter:
    """Stores reports of one node as the map request does."""

    def __init__(self, limit: Pace) -> None:
        self._limit = limit
        self.stored: list[int] = []
        self.overtaken: list[int] = []
        self.hold = asyncio.Event()
        self.hold.set()

    async def report(self, number: int) -> None:
        async with self._limit.turn(MACHINE, NODE) as newest:
            await self.hold.wait()
            (self.stored if newest else self.overtaken).append(number)


async def test_reports_that_come_while_one_is_stored_make_way_for_the_newest() -> None:
    limit, registry = pace(reports=1000)
    reporter = Reporter(limit)
    reporter.hold.clear()
    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(reporter.report(number))
        await asyncio.sleep(0)
        reporter.hold.set()
    assert (reporter.stored, reporter.overtaken) == ([0, 4], [1, 2, 3])
    assert limited(registry, "report") == 3


async def test_a_report_beyond_the_rate_waits_and_the_newest_takes_its_place() -> None:
    now = [100.0]
    registry = CollectorRegistry()
    limit = Pace(0, 20, MachineMetrics(registry), lambda: now[0])
    reporter = Reporter(limit)
    for number in range(200):
        await reporter.report(number)
    assert reporter.stored == list(range(200))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        first = group.create_task(reporter.report(200))
        await asyncio.sleep(0)
        group.create_task(reporter.report(201))
        await first
        assert (reporter.stored[-1], reporter.overtaken) == (199, [200])
        now[0] += 1
    assert (reporter.stored[-1], reporter.overtaken) == (201, [200])


async def test_one_that_goes_away_holds_nobody_up_and_nothing_is_kept() -> None:
    limit, _ = pace(reports=1000)
    reporter = Reporter(limit)
    reporter.hold.clear()
    gone = asyncio.create_task(reporter.report(1))
    following = asyncio.create_task(reporter.report(2))
    await asyncio.sleep(0)
    gone.cancel()
    reporter.hold.set()
    async with asyncio.timeout(10):
        await following
    assert reporter.stored == [2]
    assert not limit._turns
