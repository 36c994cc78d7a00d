"""What the registry hears of map sessions: batches, a heartbeat, everything anew after trouble."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gateway.clients.registry import PresenceAnswer, PresenceReport
from gateway.machine.presence import Presence
from services.shared.rpc.presence import SessionsDigest


class Registry:
    """Remembers reports; `fail` and `resend` are the test's to set."""

    def __init__(self) -> None:
        self.reports: list[PresenceReport] = []
        self.fail = False
        self.resend = False
        self.probe: set[int] = set()
        self._heard = asyncio.Condition()

    async def report(self, report: PresenceReport) -> PresenceAnswer:
        async with self._heard:
            self.reports.append(report)
            self._heard.notify_all()
        if self.fail:
            raise ConnectionError
        resend, self.resend = self.resend, False
        return PresenceAnswer(resend, None if report.digest is None else frozenset(self.probe))

    async def until(self, wanted: Callable[[PresenceReport], bool]) -> PresenceReport:
        """The first report that is wanted."""
        async with asyncio.timeout(5), self._heard:
            await self._heard.wait_for(lambda: any(wanted(report) for report in self.reports))
        return next(report for report in self.reports if wanted(report))


Begin = Callable[[float], Awaitable[tuple[Presence, Registry]]]


@pytest.fixture
async def begin() -> AsyncIterator[Begin]:
    running: list[Presence] = []

    async def start(heartbeat: float) -> tuple[Presence, Registry]:
        registry = Registry()
        presence = Presence(registry.report, window=0.005, heartbeat=heartbeat, retry=0.01)
        presence.start()
        running.append(presence)
        await registry.until(lambda report: report.complete)
        return presence, registry

    yield start
    for presence in running:
        await presence.stop()


async def test_what_happens_together_is_told_together(begin: Begin) -> None:
    presence, registry = await begin(60.0)
    for number in range(1, 101):
        presence.opened(number, number + 1000)
    presence.closed(1)
    report = await registry.until(lambda report: bool(report.opened))
    assert len(report.opened) == 99 and 1 not in report.opened
    assert not report.closed and not report.complete


async def test_a_session_that_was_told_is_told_to_be_over(begin: Begin) -> None:
    presence, registry = await begin(60.0)
    presence.opened(1, 7)
    await registry.until(lambda report: 1 in report.opened)
    presence.closed(1)
    presence.closed(99)
    report = await registry.until(lambda report: bool(report.closed))
    assert report.closed == {1: 7}


async def test_silence_is_broken_by_an_empty_heartbeat(begin: Begin) -> None:
    _, registry = await begin(0.01)
    await registry.until(lambda report: not report.complete and not report.opened and not report.closed)


async def test_a_registry_that_forgot_us_hears_everything(begin: Begin) -> None:
    presence, registry = await begin(60.0)
    presence.opened(1, 7)
    await registry.until(lambda report: 1 in report.opened)
    registry.resend = True
    presence.opened(2, 8)
    report = await registry.until(lambda report: report.complete and len(report.opened) == 2)
    assert report.opened == {1: 7, 2: 8}


async def test_after_a_failed_report_the_next_one_lists_everything(begin: Begin) -> None:
    presence, registry = await begin(60.0)
    registry.fail = True
    presence.opened(1, 7)
    presence.opened(2, 8)
    await registry.until(lambda report: 1 in report.opened)
    presence.closed(1)
    registry.fail = False
    report = await registry.until(lambda report: report.complete and set(report.opened) == {2})
    assert report.closed == {}


async def test_who_goes_because_the_gateway_leaves_is_over_only_when_it_has_stopped(begin: Begin) -> None:
    presence, registry = await begin(0.01)
    presence.opened(1, 7)
    presence.opened(2, 8)
    await registry.until(lambda report: {1, 2} <= report.opened.keys())
    presence.begin_drain()
    presence.closed(1)
    count = len(registry.reports)
    await registry.until(lambda _: len(registry.reports) >= count + 2)
    assert not any(report.closed for report in registry.reports)
    await presence.stop()
    assert registry.reports[-1].stopping and registry.reports[-1].closed == {1: 7, 2: 8}


async def test_a_graceful_end_names_what_ends(begin: Begin) -> None:
    presence, registry = await begin(60.0)
    presence.opened(1, 7)
    await registry.until(lambda report: 1 in report.opened)
    await presence.stop()
    assert registry.reports[-1].stopping and registry.reports[-1].closed == {1: 7}


async def test_each_beat_compares_count_and_checksum_of_all_sessions(begin: Begin) -> None:
    presence, registry = await begin(0.02)
    presence.opened(1, 7)
    presence.opened(2, 8)
    presence.closed(1)
    await registry.until(lambda report: report.digest == SessionsDigest(1, 2 * 9))


async def test_sessions_of_lost_clients_are_reported_as_lost_once(begin: Begin) -> None:
    presence, registry = await begin(60.0)
    presence.opened(1, 7)
    presence.opened(2, 8)
    await registry.until(lambda report: report.opened == {1: 7, 2: 8})
    presence.closed(1, lost=True)
    presence.closed(2)
    report = await registry.until(lambda report: bool(report.closed))
    assert (report.closed, report.lost) == ({1: 7, 2: 8}, {1})
    presence.opened(3, 9)
    assert not (await registry.until(lambda report: 3 in report.opened)).lost


async def test_a_lost_client_is_reported_as_lost_after_a_failed_report_too(begin: Begin) -> None:
    presence, registry = await begin(60.0)
    presence.opened(1, 7)
    await registry.until(lambda report: report.opened == {1: 7})
    registry.fail = True
    presence.closed(1, lost=True)
    await registry.until(lambda report: bool(report.lost))
    registry.fail = False
    registry.reports.clear()
    report = await registry.until(lambda report: report.complete)
    assert (report.opened, report.lost) == ({}, {1})
