"""What the tables of auth promise, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from services.auth.model.api_key import ApiKey
from services.auth.model.login import AuthId, LoginState, RegisterMethod
from services.auth.model.oidc.flow import FlowState
from services.auth.model.preauth_key import KeyClaim, PreAuthKey
from services.auth.sql import SqlApiKeys, SqlFlows, SqlLogins, SqlPreAuthKeys
from services.auth.sql.tables import metadata
from services.auth.store.logins import LoginLimits
from services.shared.db.database import read
from services.shared.ids import DEFAULT_TAILNET, NodeId, TailnetId, UserId
from tests.contract.auth_store import NOW, machine, migrated, new_flow, new_login, node, sqlite

ROOM = LoginLimits(total=5, per_network=3)


@pytest.fixture(params=["sqlite", "postgres"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    config = sqlite(tmp_path) if request.param == "sqlite" else request.getfixturevalue("server")
    async with migrated(config) as made:
        yield made


@pytest.fixture
def keys(engine: AsyncEngine) -> SqlPreAuthKeys:
    return SqlPreAuthKeys(engine, DEFAULT_TAILNET)


@pytest.fixture
def api_keys(engine: AsyncEngine) -> SqlApiKeys:
    return SqlApiKeys(engine, DEFAULT_TAILNET)


@pytest.fixture
def logins(engine: AsyncEngine) -> SqlLogins:
    return SqlLogins(engine, DEFAULT_TAILNET)


@pytest.fixture
def flows(engine: AsyncEngine) -> SqlFlows:
    return SqlFlows(engine, DEFAULT_TAILNET)


def new_key(prefix: str = "abcdefghijkl", **more: object) -> PreAuthKey:
    key = PreAuthKey(0, prefix, UserId(7), False, True, ("tag:a", "tag:b"), NOW, NOW + timedelta(hours=1))
    return replace(key, **more)  # type: ignore[arg-type]


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection, opts={"include_name": lambda name, kind, _: kind != "table" or str(name) in metadata.tables}
    )
    return list(compare_metadata(context, metadata))


async def test_the_migrations_make_the_tables_that_the_code_expects(engine: AsyncEngine) -> None:
    async with read(engine) as connection:
        assert await connection.run_sync(_differences) == []


class TestPreAuthKeys:
    async def test_a_key_comes_back_as_it_went_in(self, keys: SqlPreAuthKeys) -> None:
        stored = await keys.add(new_key(), "sha256:x")
        assert stored is not None and stored.id > 0
        assert stored == replace(new_key(), id=stored.id)
        assert await keys.by_prefix("abcdefghijkl") == (stored, "sha256:x")
        assert await keys.by_prefix("other") is None

    async def test_a_taken_prefix_is_refused(self, keys: SqlPreAuthKeys) -> None:
        assert await keys.add(new_key(), "sha256:x") is not None
        assert await keys.add(new_key(), "sha256:y") is None

    async def test_ids_are_not_used_again(self, keys: SqlPreAuthKeys) -> None:
        first = await keys.add(new_key("a"), "x")
        assert first is not None and await keys.delete(first.id)
        second = await keys.add(new_key("b"), "x")
        assert second is not None and second.id > first.id

    async def test_the_list_is_in_order_and_by_user(self, keys: SqlPreAuthKeys) -> None:
        a, b = await keys.add(new_key("a"), "x"), await keys.add(new_key("b", user_id=UserId(8)), "x")
        assert await keys.list(None) == (a, b)
        assert await keys.list(UserId(8)) == (b,)

    async def test_expiring_never_prolongs(self, keys: SqlPreAuthKeys) -> None:
        key = await keys.add(new_key(), "x")
        assert key is not None
        assert await keys.expire(key.id, NOW)
        assert await keys.expire(key.id, NOW + timedelta(minutes=5))
        assert (await keys.list(None))[0].expiration == NOW
        assert not await keys.expire(key.id + 1, NOW)
        assert not await keys.delete(key.id + 1)

    async def test_of_many_machines_that_race_exactly_one_claims(self, keys: SqlPreAuthKeys) -> None:
        key = await keys.add(new_key(), "x")
        assert key is not None
        claims = [KeyClaim(machine(number), node(number), NOW) for number in range(1, 9)]
        won = await asyncio.gather(*(keys.claim(key.id, None, claim) for claim in claims))
        assert won.count(True) == 1
        assert (await keys.list(None))[0].claim == claims[won.index(True)]

    async def test_a_claim_is_handed_over_only_by_who_knows_it(self, keys: SqlPreAuthKeys) -> None:
        key = await keys.add(new_key(), "x")
        assert key is not None
        first, later = KeyClaim(machine(1), node(1), NOW), KeyClaim(machine(1), node(2), NOW + timedelta(seconds=1))
        assert await keys.claim(key.id, None, first)
        assert not await keys.claim(key.id, None, later)
        assert await keys.claim(key.id, first, later)
        await keys.release(key.id, first)
        assert (await keys.list(None))[0].claim == later
        await keys.release(key.id, later)
        assert (await keys.list(None))[0].claim is None

    async def test_a_used_key_is_claimed_and_released_by_nobody(self, keys: SqlPreAuthKeys) -> None:
        key = await keys.add(new_key(), "x")
        assert key is not None
        claim = KeyClaim(machine(1), node(1), NOW)
        assert await keys.claim(key.id, None, claim)
        await keys.mark_used(key.id)
        await keys.release(key.id, claim)
        assert not await keys.claim(key.id, claim, claim)
        assert (await keys.list(None))[0].used

    async def test_another_tailnet_sees_nothing(self, keys: SqlPreAuthKeys, engine: AsyncEngine) -> None:
        key = await keys.add(new_key(), "x")
        assert key is not None
        other = SqlPreAuthKeys(engine, TailnetId("other"))
        assert await other.list(None) == ()
        assert await other.by_prefix(key.prefix) is None
        assert not await other.delete(key.id)


class TestApiKeys:
    async def test_a_key_comes_back_by_prefix(self, api_keys: SqlApiKeys) -> None:
        stored = await api_keys.add(ApiKey(0, "abc", NOW, NOW + timedelta(days=90)), "x")
        assert stored is not None
        assert await api_keys.by_prefix("abc") == (stored, "x")
        assert await api_keys.list() == (stored,)
        assert await api_keys.add(ApiKey(0, "abc", NOW), "y") is None

    async def test_it_is_ended_and_forgotten_by_id_or_prefix(self, api_keys: SqlApiKeys) -> None:
        a, b = await api_keys.add(ApiKey(0, "a", NOW), "x"), await api_keys.add(ApiKey(0, "b", NOW), "x")
        assert a is not None and b is not None
        assert await api_keys.expire("a", NOW) and await api_keys.expire(b.id, NOW)
        assert [key.expiration for key in await api_keys.list()] == [NOW, NOW]
        assert await api_keys.delete("a") and await api_keys.delete(b.id)
        assert not await api_keys.delete("a") and not await api_keys.expire(b.id, NOW)

    async def test_last_seen_never_goes_back(self, api_keys: SqlApiKeys) -> None:
        key = await api_keys.add(ApiKey(0, "a", NOW), "x")
        assert key is not None
        await api_keys.touch(key.id, NOW + timedelta(minutes=2))
        await api_keys.touch(key.id, NOW + timedelta(minutes=1))
        assert (await api_keys.list())[0].last_seen == NOW + timedelta(minutes=2)


class TestLogins:
    async def test_a_login_comes_back_as_it_went_in(self, logins: SqlLogins) -> None:
        login = new_login(1)
        opened = await logins.open(login, "n", ROOM)
        assert opened is not None and opened.login is login and opened.displaced == ()
        assert await logins.get(login.auth_id) == login
        assert await logins.of_machine(machine(1)) == login
        assert await logins.get(AuthId("hskey-authreq-none")) is None

    async def test_the_same_keys_find_their_login_again(self, logins: SqlLogins) -> None:
        first = new_login(1, node_number=5)
        await logins.open(first, "n", ROOM)
        again = await logins.open(replace(new_login(1, node_number=6), node_key=node(5)), "n", ROOM)
        assert again is not None and again.login == first

    async def test_a_new_node_key_takes_the_place_of_the_old(self, logins: SqlLogins) -> None:
        first, second = new_login(1, node_number=5), new_login(1, node_number=6)
        await logins.open(first, "n", ROOM)
        opened = await logins.open(second, "n", ROOM)
        assert opened is not None and opened.displaced == (first.auth_id,)
        assert await logins.list(NOW) == (second,)

    @pytest.mark.parametrize("state", [LoginState.REJECTED, LoginState.ADMITTED])
    async def test_a_login_that_is_over_is_not_found_again(self, logins: SqlLogins, state: LoginState) -> None:
        first = new_login(1, node_number=5)
        await logins.open(first, "n", ROOM)
        assert await logins.replace(first, replace(first, state=state))
        second = replace(new_login(1, node_number=6), node_key=node(5))
        opened = await logins.open(second, "n", ROOM)
        assert opened is not None and opened.login is second

    async def test_a_network_with_its_share_loses_its_own(self, logins: SqlLogins) -> None:
        for number in range(1, 4):
            await logins.open(new_login(number, NOW + timedelta(seconds=number)), "greedy", ROOM)
        await logins.open(new_login(9, NOW), "other", ROOM)
        opened = await logins.open(new_login(4, NOW + timedelta(seconds=4)), "greedy", ROOM)
        assert opened is not None and opened.displaced == (new_login(2).auth_id,)
        assert [login.machine_key for login in await logins.list(NOW)] == [machine(n) for n in (9, 1, 3, 4)]

    async def test_when_all_is_full_a_stranger_is_turned_away(self, logins: SqlLogins) -> None:
        for number in range(1, 6):
            await logins.open(new_login(number), f"n{number}", ROOM)
        assert await logins.open(new_login(6), "n6", ROOM) is None
        opened = await logins.open(new_login(7), "n1", ROOM)
        assert opened is not None and opened.displaced == (new_login(1).auth_id,)

    async def test_when_all_is_full_who_holds_the_most_makes_room(self, logins: SqlLogins) -> None:
        for number in range(1, 4):
            await logins.open(new_login(number, NOW + timedelta(seconds=number)), "192.0.2.1", ROOM)
        for number in (4, 5):
            await logins.open(new_login(number), f"198.51.100.{number}", ROOM)
        opened = await logins.open(new_login(6), "203.0.113.6", ROOM)
        assert opened is not None and opened.displaced == (new_login(2).auth_id,)
        opened = await logins.open(new_login(7), "192.0.2.9", ROOM)
        assert opened is not None and opened.displaced == (new_login(3).auth_id,)

    async def test_a_login_whose_sign_in_has_begun_stays_longest(self, logins: SqlLogins, flows: SqlFlows) -> None:
        for number in range(1, 4):
            await logins.open(new_login(number, NOW + timedelta(seconds=number)), "n", ROOM)
        for number, state in ((2, FlowState.STARTED), (1, FlowState.CONFIRMING)):
            flow = replace(new_flow(number), auth_id=new_login(number, NOW + timedelta(seconds=number)).auth_id)
            await flows.add(replace(flow, state=state), 8)
        gone = []
        for number in range(4, 8):
            opened = await logins.open(new_login(number, NOW + timedelta(seconds=number)), "n", ROOM)
            assert opened is not None
            gone += opened.displaced
        assert gone == [new_login(number).auth_id for number in (3, 4, 5, 6)]

    async def test_pending_ones_are_told_from_decided_and_ended_ones(self, logins: SqlLogins) -> None:
        first, second = new_login(1), new_login(2)
        await logins.open(first, "n", ROOM)
        await logins.open(second, "n", ROOM)
        every = (first.auth_id, second.auth_id, new_login(3).auth_id)
        assert await logins.pending(every, NOW) == {first.auth_id, second.auth_id}
        assert await logins.replace(first, first.rejected("no"))
        assert await logins.pending(every, NOW) == {second.auth_id}
        assert await logins.pending(every, NOW + timedelta(hours=1)) == frozenset()
        assert await logins.pending((), NOW) == frozenset()

    async def test_racing_strangers_never_exceed_the_room(self, logins: SqlLogins) -> None:
        made = await asyncio.gather(*(logins.open(new_login(n), f"n{n}", ROOM) for n in range(1, 12)))
        assert sum(opened is not None for opened in made) == ROOM.total
        assert len(await logins.list(NOW)) == ROOM.total

    async def test_logins_that_ended_make_room(self, logins: SqlLogins) -> None:
        for number in range(1, 6):
            await logins.open(new_login(number), f"n{number}", ROOM)
        late = NOW + timedelta(minutes=15)
        assert await logins.list(late) == ()
        assert await logins.open(new_login(6, late), "n6", ROOM) is not None
        assert await logins.get(new_login(1).auth_id) is None

    async def test_of_two_decisions_only_the_first_holds(self, logins: SqlLogins) -> None:
        login = new_login(1)
        await logins.open(login, "n", ROOM)
        for_alice = login.approved(UserId(1), RegisterMethod.CLI)
        decided = await asyncio.gather(
            logins.replace(login, for_alice),
            logins.replace(login, login.approved(UserId(2), RegisterMethod.CLI)),
            logins.replace(login, login.rejected("no")),
        )
        assert decided.count(True) == 1
        assert await logins.get(login.auth_id) != login

    async def test_states_are_kept(self, logins: SqlLogins) -> None:
        login = new_login(1)
        await logins.open(login, "n", ROOM)
        approved = login.approved(UserId(3), RegisterMethod.OIDC)
        assert await logins.replace(login, approved)
        assert await logins.get(login.auth_id) == approved
        assert await logins.replace(approved, approved.admitted(NodeId(4)))
        assert not await logins.replace(approved, approved.reopened())

    async def test_a_login_is_forgotten_by_its_keys(self, logins: SqlLogins) -> None:
        login = new_login(1, node_number=5)
        await logins.open(login, "n", ROOM)
        assert await logins.forget(machine(1), node(6)) is None
        assert await logins.forget(machine(1), node(5)) == login.auth_id
        assert await logins.get(login.auth_id) is None

    async def test_another_tailnet_has_its_own(self, logins: SqlLogins, engine: AsyncEngine) -> None:
        login = new_login(1)
        await logins.open(login, "n", ROOM)
        other = SqlLogins(engine, TailnetId("other"))
        assert await other.get(login.auth_id) is None
        assert not await other.replace(login, login.rejected("no"))
