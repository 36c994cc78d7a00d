"""SSH sessions that wait, and the words that people gave, on each database: one suite for the tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.auth.model.login import AuthId, new_auth_id
from services.auth.model.oidc.refusal import RefusalReason
from services.auth.model.ssh_check import CheckState, PendingSshCheck, SshApprovalQuery
from services.auth.sql import SqlRights, SqlSshChecks
from services.auth.store.ssh_checks import SshCheckLimits
from services.shared.config.model import DatabaseConfig
from services.shared.ids import DEFAULT_TAILNET, NodeId, TailnetId, UserId
from services.shared.keys import NodeKey
from tests.contract.auth_store import migrated, sqlite
from tests.fakes import postgres as pg

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
ROOM = SshCheckLimits(total=100, per_destination=50, per_source=50, per_pair=10)
HOUR = timedelta(hours=1)


@dataclass
class Stores:
    """Two tailnets in one database."""

    checks: SqlSshChecks
    others: SqlSshChecks
    rights: SqlRights


@pytest.fixture(scope="module")
def server() -> Iterator[DatabaseConfig]:
    if pg.programs() is None:
        pytest.skip(pg.MISSING)
    with pg.postgres() as config:
        yield config


@pytest.fixture(params=["sqlite", "postgres"])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    config = sqlite(tmp_path) if request.param == "sqlite" else request.getfixturevalue("server")
    async with migrated(config) as engine:
        yield Stores(
            SqlSshChecks(engine, DEFAULT_TAILNET),
            SqlSshChecks(engine, TailnetId("other")),
            SqlRights(engine, DEFAULT_TAILNET),
        )


def new_check(
    number: int, source: int = 1, destination: int = 2, at: datetime = NOW, **more: object
) -> PendingSshCheck:
    made = PendingSshCheck(
        auth_id=new_auth_id(number.to_bytes(12, "big")),
        source_id=NodeId(source),
        destination_id=NodeId(destination),
        source_key=NodeKey(bytes([source]) * 32),
        user_id=UserId(7),
        source_name="laptop",
        user_name="alice@example.com",
        destination_name="web",
        local_user="root",
        everywhere=False,
        each_time=False,
        created_at=at,
        expires_at=at + timedelta(minutes=15),
    )
    return replace(made, **more)  # type: ignore[arg-type]


def word(check: PendingSshCheck, since: datetime = NOW - HOUR, **more: object) -> SshApprovalQuery:
    made = SshApprovalQuery(
        check.source_id, check.destination_id, check.source_key, check.user_id, check.everywhere, since
    )
    return replace(made, **more)  # type: ignore[arg-type]


async def opened(store: SqlSshChecks, *checks: PendingSshCheck) -> None:
    for check in checks:
        made = await store.open(check, ROOM)
        assert made is not None and made.check == check


async def test_a_check_comes_back_as_it_was_whatever_becomes_of_it(stores: Stores) -> None:
    yes, no = new_check(1, local_user="ann ✓", each_time=True), new_check(2, everywhere=True)
    await opened(stores.checks, yes, no)
    assert await stores.checks.get(yes.auth_id) == yes and await stores.checks.list(NOW) == (yes, no)
    assert await stores.checks.approve(yes, "alice", NOW) is not None
    assert await stores.checks.reject(no, "root", "because")
    assert await stores.checks.get(yes.auth_id) == yes.approved("alice")
    assert await stores.checks.get(no.auth_id) == no.rejected("root", "because")
    assert await stores.checks.list(NOW) == ()
    assert await stores.others.get(yes.auth_id) is None and await stores.others.list(NOW) == ()
    assert await stores.checks.get(AuthId("hskey-authreq-" + "0" * 24)) is None


async def test_only_the_first_decision_counts(stores: Stores) -> None:
    check = new_check(1)
    await opened(stores.checks, check)
    said = await asyncio.gather(
        *(stores.checks.approve(check, f"a{n}", NOW) for n in range(4)),
        *(stores.checks.reject(check, f"r{n}", "no") for n in range(4)),
    )
    assert sum(one not in (None, False) for one in said) == 1
    assert await stores.checks.approve(check, "late", NOW) is None
    assert not await stores.checks.reject(check, "late", "no")


async def test_who_waits_for_the_same_word_waits_on_the_same_check(stores: Stores) -> None:
    check = new_check(1)
    await opened(stores.checks, check)
    again = await stores.checks.open(new_check(2), ROOM)
    assert again is not None and again.check == check
    different = [
        new_check(3, destination=3), new_check(4, source=2), new_check(5, local_user="ann"),
        new_check(6, user_id=UserId(8)), new_check(7, source_key=NodeKey(bytes([9]) * 32)),
        new_check(8, each_time=True), new_check(9, each_time=True), new_check(10, everywhere=True),
    ]  # fmt: skip
    await opened(stores.checks, *different)
    assert len(await stores.checks.list(NOW)) == 9


async def test_nobody_is_sent_to_a_check_that_is_about_to_end(stores: Stores) -> None:
    await opened(stores.checks, new_check(1))
    early = await stores.checks.open(new_check(2, at=NOW + timedelta(minutes=7)), ROOM)
    late = await stores.checks.open(new_check(3, at=NOW + timedelta(minutes=8)), ROOM)
    assert early is not None and early.check.auth_id == new_check(1).auth_id
    assert late is not None and late.check.auth_id == new_check(3).auth_id


async def test_a_word_holds_for_what_it_was_given_and_no_longer(stores: Stores) -> None:
    check = new_check(1)
    await opened(stores.checks, check)
    assert not await stores.checks.given(word(check))
    await stores.checks.approve(check, "alice", NOW)
    assert await stores.checks.given(word(check))
    assert await stores.checks.given(word(check, everywhere=True))
    for other in (
        word(check, since=NOW), word(check, since=NOW + HOUR), word(check, user_id=UserId(8)),
        word(check, source_key=NodeKey(bytes(32))), word(check, destination_id=NodeId(3)),
        word(check, source_id=NodeId(3)), word(check, destination_id=NodeId(3), everywhere=True),
    ):  # fmt: skip
        assert not await stores.checks.given(other)
    assert not await stores.others.given(word(check))


async def test_a_word_for_everywhere_holds_for_all_destinations_of_its_source(stores: Stores) -> None:
    check, narrow = new_check(1, everywhere=True), new_check(2)
    await opened(stores.checks, check, narrow)
    await stores.checks.approve(check, "alice", NOW)
    assert await stores.checks.given(word(check, destination_id=NodeId(99)))
    assert not await stores.checks.given(word(narrow, destination_id=NodeId(99)))
    await stores.checks.approve(narrow, "alice", NOW + HOUR)
    assert await stores.checks.given(word(check, destination_id=NodeId(99)))
    assert await stores.checks.given(word(narrow, since=NOW))


async def test_a_newer_word_takes_the_place_of_the_older_and_old_ones_are_forgotten(stores: Stores) -> None:
    first = new_check(1)
    await opened(stores.checks, first)
    await stores.checks.approve(first, "alice", NOW)
    second = new_check(2, at=NOW + HOUR)
    await opened(stores.checks, second)
    await stores.checks.approve(second, "alice", NOW + HOUR)
    assert await stores.checks.given(word(second, since=NOW))
    late = new_check(3, source=5, at=NOW + timedelta(hours=170))
    await opened(stores.checks, late)
    await stores.checks.approve(late, "alice", late.created_at)
    assert not await stores.checks.given(word(second, since=NOW - HOUR))


async def test_a_yes_names_the_others_that_it_may_end(stores: Stores) -> None:
    yes, same = new_check(1, everywhere=True), new_check(2, local_user="ann")
    wide = new_check(3, destination=3, everywhere=True)
    narrow, foreign = new_check(4, destination=3), new_check(5, source=4, everywhere=True)
    done = new_check(6, destination=3, local_user="ann", everywhere=True)
    await opened(stores.checks, yes, same, wide, narrow, foreign, done)
    await stores.checks.reject(done, "alice", "no")
    assert await stores.checks.approve(yes, "alice", NOW) == (same.auth_id, wide.auth_id)


async def test_a_pair_and_a_destination_have_their_share_and_the_decided_go_first(stores: Stores) -> None:
    room = SshCheckLimits(total=5, per_destination=3, per_source=4, per_pair=2)

    async def add(number: int, source: int, destination: int) -> tuple[AuthId, ...] | None:
        made = await stores.checks.open(
            new_check(number, source, destination, NOW + timedelta(seconds=number), each_time=True), room
        )
        return None if made is None else made.displaced

    ids = [new_auth_id(number.to_bytes(12, "big")) for number in range(10)]
    assert [await add(1, 1, 2), await add(2, 1, 2)] == [(), ()]
    assert await add(3, 1, 2) == (ids[1],)
    assert await add(4, 3, 2) == ()
    third = await stores.checks.get(ids[3])
    assert third is not None and await stores.checks.reject(third, "alice", "no")
    assert await add(5, 5, 2) == (ids[3],)
    assert [await add(6, 7, 4), await add(7, 7, 6)] == [(), ()]
    assert await add(8, 8, 8) == (ids[2],)  # the destination that has the most makes room
    assert await add(9, 5, 4) is None  # and none that has as little as the newcomer
    assert len(await stores.checks.list(NOW)) == 5


async def test_a_source_has_its_share(stores: Stores) -> None:
    room = SshCheckLimits(total=9, per_destination=9, per_source=2, per_pair=2)
    made = [await stores.checks.open(new_check(n, 1, n, NOW + timedelta(seconds=n)), room) for n in range(2, 5)]
    assert [one and len(one.displaced) for one in made] == [0, 0, 1]
    assert [check.destination_id for check in await stores.checks.list(NOW)] == [3, 4]


async def test_checks_that_have_ended_make_room(stores: Stores) -> None:
    room = SshCheckLimits(total=1, per_destination=1, per_source=1, per_pair=1)
    assert await stores.checks.open(new_check(1), room) is not None
    assert await stores.checks.open(new_check(2, source=4, destination=3), room) is None
    late = new_check(3, destination=3, at=NOW + timedelta(minutes=15))
    made = await stores.checks.open(late, room)
    assert made is not None and made.check == late and made.displaced == ()
    assert await stores.checks.get(new_auth_id((1).to_bytes(12, "big"))) is None


async def test_many_at_once_never_exceed_the_room(stores: Stores) -> None:
    room = SshCheckLimits(total=6, per_destination=4, per_source=4, per_pair=4)
    await asyncio.gather(
        *(stores.checks.open(new_check(n, source=n, destination=1 + n % 3, each_time=True), room) for n in range(1, 30))
    )
    assert len(await stores.checks.list(NOW)) == 6


async def test_a_suspension_takes_words_back_and_turns_sessions_away(stores: Stores) -> None:
    given, waits, other = new_check(1), new_check(2, destination=3), new_check(3, source=4, user_id=UserId(8))
    await opened(stores.checks, given, waits, other)
    await stores.checks.approve(given, "alice", NOW)
    await stores.checks.approve(other, "bob", NOW)
    told = await stores.rights.refuse_logins(UserId(7), RefusalReason.USER_SUSPENDED, "suspended")
    assert told == (given.auth_id, waits.auth_id)
    assert not await stores.checks.given(word(given)) and await stores.checks.given(word(other))
    for check in (given, waits):
        now = await stores.checks.get(check.auth_id)
        assert now is not None and (now.state, now.reason) == (CheckState.REJECTED, "suspended")
