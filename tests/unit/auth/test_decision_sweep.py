"""Held requests cost one query for all of them, and none is forgotten when notifications are lost."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from datetime import datetime
from typing import Any, cast

import pytest

from services.auth.decision_sweep import IDS_PER_QUERY, DecisionSweep
from services.auth.model.errors import TooManyError
from services.auth.model.login import AuthId
from services.auth.notifications import MAX_WAITERS, BusLoginNotifications
from services.shared.background import Background
from services.shared.bus import MemoryBus
from services.shared.ids import DEFAULT_TAILNET
from services.shared.runtime.clock import SystemClock
from services.shared.telemetry import Telemetry


class Table:
    """Counts the queries; everything in it is pending but what is decided."""

    def __init__(self, known: Collection[AuthId]) -> None:
        self.known = set(known)
        self.asked: list[int] = []

    async def pending(self, auth_ids: Collection[AuthId], now: datetime) -> frozenset[AuthId]:
        self.asked.append(len(auth_ids))
        return frozenset(self.known.intersection(auth_ids))


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


def ids(number: int) -> list[AuthId]:
    return [AuthId(f"hskey-authreq-{each:024x}") for each in range(number)]


def made(telemetry: Telemetry, logins: Table, checks: Table) -> tuple[BusLoginNotifications, DecisionSweep]:
    background = Background(telemetry)
    notifications = BusLoginNotifications(MemoryBus(), DEFAULT_TAILNET, background)
    clock = SystemClock()
    return notifications, DecisionSweep(notifications, cast(Any, logins), cast(Any, checks), clock, background)


async def test_thousands_of_held_requests_are_read_in_a_few_queries(telemetry: Telemetry) -> None:
    auth_ids = ids(MAX_WAITERS)
    logins, checks = Table(auth_ids[::2]), Table(auth_ids[1::2])
    notifications, sweep = made(telemetry, logins, checks)
    watches = [notifications.watch(auth_id) for auth_id in auth_ids]
    waiters = [watch.__enter__() for watch in watches]
    assert await sweep.sweep() == 0
    assert len(logins.asked) == len(checks.asked) == -(-MAX_WAITERS // IDS_PER_QUERY)
    logins.known.discard(auth_ids[0])
    checks.known.discard(auth_ids[1])
    assert await sweep.sweep() == 2
    async with asyncio.timeout(5):
        await asyncio.gather(waiters[0].wait(60), waiters[1].wait(60))
    for watch in watches:
        watch.__exit__(None, None, None)
    assert notifications.waiting_requests == 0


async def test_one_login_cannot_keep_the_places_of_all_others(telemetry: Telemetry) -> None:
    notifications, _ = made(telemetry, Table([]), Table([]))
    first, *others = ids(MAX_WAITERS - 62)
    greedy = [notifications.watch(first, 64) for _ in range(64)]
    waiters = [watch.__enter__() for watch in greedy]
    rest = [notifications.watch(auth_id) for auth_id in others[: MAX_WAITERS - 64]]
    for watch in rest:
        watch.__enter__()
    with notifications.watch(AuthId("hskey-authreq-" + "f" * 24)), pytest.raises(TooManyError):
        await waiters[0].wait(5)
    for watch in (*greedy, *rest):
        watch.__exit__(None, None, None)


async def test_when_every_login_has_one_request_the_next_is_told_to_come_back(telemetry: Telemetry) -> None:
    notifications, _ = made(telemetry, Table([]), Table([]))
    watches = [notifications.watch(auth_id) for auth_id in ids(MAX_WAITERS)]
    for watch in watches:
        watch.__enter__()
    with pytest.raises(TooManyError), notifications.watch(AuthId("hskey-authreq-" + "f" * 24)):
        pass
    for watch in watches:
        watch.__exit__(None, None, None)
