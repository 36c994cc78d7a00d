"""What the audit log promises, on SQLite and on PostgreSQL alike; and the tables of OAuth clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncEngine

from services.auth.model.audit import FIRST, INTERRUPTED, PATIENCE, RETENTION, Anchor
from services.auth.model.oauth import AccessToken, OAuthClient
from services.auth.sql import SqlAudit, SqlOAuth
from services.auth.sql.tables import audit_log
from services.auth.usecases.audit import Audit
from services.shared.db.database import write
from services.shared.ids import DEFAULT_TAILNET, TailnetId
from tests.contract.auth_store import NOW, migrated, sqlite
from tests.fakes.clock import FakeClock

CLIENT = OAuthClient("abcdefghijkl", ("dns:read",), ("tag:a",), "text", "api key x", NOW)


@pytest.fixture(params=["sqlite", "postgres"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    config = sqlite(tmp_path) if request.param == "sqlite" else request.getfixturevalue("server")
    async with migrated(config) as made:
        yield made


@pytest.fixture
def store(engine: AsyncEngine) -> SqlAudit:
    return SqlAudit(engine, DEFAULT_TAILNET)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def audit(store: SqlAudit, clock: FakeClock) -> Audit:
    return Audit(store, clock, lambda body: body + INTERRUPTED.encode())


def event(number: int) -> str:
    return f"{number:032x}"


async def call(audit: Audit, number: int, clock: FakeClock) -> None:
    await audit.begin(event(number), clock.now(), b"begun")
    await audit.finish(event(number), clock.now(), b"done %d" % number)


async def test_entries_are_listed_by_the_time_of_their_call(audit: Audit, clock: FakeClock) -> None:
    times = []
    for number in range(1, 6):
        times.append(clock.now())
        await call(audit, number, clock)
        clock.advance(60)
    between = await audit.list(0, 100, newest=False, start=times[1], end=times[3])
    assert [link.seq for link in between] == [2, 3, 4]
    assert [link.seq for link in await audit.list(2, 1, newest=False, start=times[1], end=times[3])] == [3]
    assert [link.seq for link in await audit.list(0, 100, newest=False, start=times[4])] == [5]
    assert [link.seq for link in await audit.list(0, 100, newest=False, end=times[0])] == [1]


async def test_calls_are_appended_once_in_order_without_a_gap(audit: Audit, clock: FakeClock) -> None:
    await asyncio.gather(*(call(audit, number, clock) for number in range(1, 21)))
    await audit.finish(event(3), clock.now(), b"again")
    await audit.begin(event(99), clock.now(), b"only begun")
    await audit.begin(event(99), clock.now(), b"begun again")
    found = await audit.list(0, 100, newest=False)
    assert [link.seq for link in found] == list(range(1, 21))
    assert {link.body for link in found} == {b"done %d" % number for number in range(1, 21)}
    assert [link.seq for link in await audit.list(0, 3, newest=True)] == [18, 19, 20]
    assert [link.seq for link in await audit.list(5, 2, newest=False)] == [6, 7]
    verdict = await audit.verify()
    assert (verdict.entries, verdict.first_wrong, verdict.last_hash) == (20, 0, found[-1].hash)


async def test_an_interrupted_call_is_appended_when_it_can_no_longer_succeed(audit: Audit, clock: FakeClock) -> None:
    await audit.begin(event(1), clock.now(), b"begun ")
    assert await audit.sweep() == 0
    clock.advance(PATIENCE.total_seconds() + 1)
    assert await audit.sweep() == 1
    await audit.finish(event(1), clock.now(), b"late")
    assert [link.body for link in await audit.list(0, 10, newest=False)] == [b"begun INTERRUPTED"]


@pytest.mark.parametrize("number", [1, 4, 5])
async def test_a_removed_or_altered_entry_shows(
    audit: Audit, engine: AsyncEngine, clock: FakeClock, number: int
) -> None:
    for one in range(1, 6):
        await call(audit, one, clock)
    async with write(engine) as connection:
        await connection.execute(update(audit_log).where(audit_log.c.seq == number).values(body=b"forged"))
    assert (await audit.verify()).first_wrong == number
    async with write(engine) as connection:
        await connection.execute(delete(audit_log).where(audit_log.c.seq == number))
    verdict = await audit.verify()
    assert verdict.first_wrong == number and "missing" in verdict.problem


async def test_old_entries_are_removed_and_the_rest_still_verifies(
    audit: Audit, store: SqlAudit, clock: FakeClock
) -> None:
    for number in (1, 2, 3):
        await call(audit, number, clock)
    clock.advance((RETENTION - timedelta(days=1)).total_seconds())
    await call(audit, 4, clock)
    clock.advance(timedelta(days=2).total_seconds())
    await audit.sweep()
    assert [link.seq for link in await audit.list(0, 10, newest=False)] == [4]
    assert (await audit.verify()).first_wrong == 0
    clock.advance(RETENTION.total_seconds())
    await audit.sweep()
    assert not await audit.list(0, 10, newest=False)
    assert (await audit.verify()).first_wrong == 0
    await call(audit, 5, clock)
    assert [link.seq for link in await audit.list(0, 10, newest=False)] == [5]
    assert (await store.ends())[0].seq == 4


async def test_a_new_log_is_empty_and_another_tailnets_is_apart(audit: Audit, engine: AsyncEngine) -> None:
    other = SqlAudit(engine, TailnetId("other"))
    await other.begin(event(1), NOW, b"a")
    await other.finish(event(1), NOW, b"b")
    assert not await audit.list(0, 10, newest=False)
    assert (await audit.verify()).last_hash == FIRST
    assert await SqlAudit(engine, DEFAULT_TAILNET).ends() == (Anchor(), Anchor())


async def test_clients_and_tokens_are_kept_and_end_together(engine: AsyncEngine) -> None:
    store = SqlOAuth(engine, DEFAULT_TAILNET)
    assert await store.add(CLIENT, "digest") and not await store.add(CLIENT, "other")
    assert await store.find(CLIENT.id) == (CLIENT, "digest") and await store.list() == (CLIENT,)
    changed = replace(CLIENT, scopes=("all",), description="new", updated_at=NOW)
    assert await store.update(changed) and not await store.update(replace(changed, id="nobody"))
    token = AccessToken("tokentokento", CLIENT.id, ("all",), (), NOW, NOW + timedelta(hours=1))
    assert await store.add_token(token, "secret") and not await store.add_token(token, "secret")
    assert await store.token(token.prefix) == (token, "secret", changed)
    await store.touch(CLIENT.id, NOW + timedelta(minutes=2))
    await store.touch(CLIENT.id, NOW)
    (touched,) = await store.list()
    assert touched.last_used_at == NOW + timedelta(minutes=2)
    late = replace(token, prefix="latelatelate", created_at=token.expires_at)
    assert await store.add_token(late, "secret")
    assert await store.token(token.prefix) is None
    assert await store.delete(CLIENT.id) and not await store.delete(CLIENT.id)
    assert await store.token(late.prefix) is None
