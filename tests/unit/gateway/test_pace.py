"""The pace of one machine: refusals that say when to come back, and reports that are stored in order."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry

from gateway.machine.metrics import MachineMetrics
from gateway.machine.pace import Pace
from gateway.machine.report_queue import COST_UNIT, Outcome
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
    """Stores reports of one node as the map request does; each in `failing` is refused by the registry."""

    def __init__(self, limit: Pace) -> None:
        self._limit = limit
        self.stored: list[int] = []
        self.replaced: list[int] = []
        self.failed: list[int] = []
        self.failing: set[int] = set()
        self.hold = asyncio.Event()
        self.hold.set()

    async def report(self, number: int, size: int = 100) -> None:
        async def store() -> bool:
            await self.hold.wait()
            if number in self.failing:
                return False
            self.stored.append(number)
            return True

        outcome = await self._limit.reports.store(MACHINE, NODE, size, store)
        if outcome is Outcome.REPLACED:
            self.replaced.append(number)
        elif outcome is Outcome.FAILED:
            self.failed.append(number)


async def together(reporter: Reporter, *numbers: int) -> None:
    """Send reports while the first is being stored."""
    reporter.hold.clear()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for number in numbers:
            group.create_task(reporter.report(number))
        await asyncio.sleep(0)
        reporter.hold.set()


async def test_reports_that_come_while_one_is_stored_make_way_for_the_newest() -> None:
    limit, _ = pace(reports=1000)
    reporter = Reporter(limit)
    await together(reporter, 0, 1, 2, 3, 4)
    assert (reporter.stored, sorted(reporter.replaced)) == ([0, 4], [1, 2, 3])
    assert not len(limit.reports)


async def test_a_report_is_not_acknowledged_for_a_newer_one_that_fails() -> None:
    limit, _ = pace(reports=1000)
    reporter = Reporter(limit)
    reporter.failing = {3}
    await together(reporter, 0, 1, 2, 3)
    assert reporter.failed == [3]
    assert reporter.stored[:1] == [0] and reporter.stored[-1] in (1, 2)
    assert set(reporter.stored) | set(reporter.replaced) == {0, 1, 2}


async def test_when_all_fail_none_is_acknowledged() -> None:
    limit, _ = pace(reports=1000)
    reporter = Reporter(limit)
    reporter.failing = {1, 2, 3}
    await together(reporter, 0, 1, 2, 3)
    assert (reporter.stored, reporter.replaced, sorted(reporter.failed)) == ([0], [], [1, 2, 3])


async def test_a_report_is_stored_when_the_client_of_a_newer_one_has_gone() -> None:
    limit, _ = pace(reports=1000)
    reporter = Reporter(limit)
    reporter.hold.clear()
    tasks = [asyncio.create_task(reporter.report(number)) for number in range(3)]
    await asyncio.sleep(0)
    tasks[2].cancel()
    reporter.hold.set()
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks, return_exceptions=True)
    assert (reporter.stored, reporter.replaced) == ([0, 1], [])
    assert not len(limit.reports)


async def test_a_report_beyond_the_rate_waits_and_the_newest_takes_its_place() -> None:
    now = [100.0]
    limit = Pace(0, 20, MachineMetrics(CollectorRegistry()), lambda: now[0])
    reporter = Reporter(limit)
    for number in range(200):
        await reporter.report(number)
    assert reporter.stored == list(range(200))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(reporter.report(200))
        await asyncio.sleep(0)
        group.create_task(reporter.report(201))
        await asyncio.sleep(0)
        assert reporter.stored[-1] == 199
        now[0] += 1
    assert (reporter.stored[-1], reporter.replaced) == (201, [200])


async def test_a_long_report_costs_its_machine_as_much_as_many_short_ones() -> None:
    now = [100.0]
    limit = Pace(0, 20, MachineMetrics(CollectorRegistry()), lambda: now[0])
    reporter = Reporter(limit)
    for number in range(4):
        await reporter.report(number, size=49 * COST_UNIT)
    late = asyncio.create_task(reporter.report(4))
    await asyncio.sleep(0)
    assert reporter.stored == [0, 1, 2, 3]
    now[0] += 1
    async with asyncio.timeout(10):
        await late
    assert reporter.stored[-1] == 4


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
    assert not len(limit.reports)
