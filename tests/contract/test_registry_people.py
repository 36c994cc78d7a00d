"""One suite for what every store of the registry keeps of people: identities, standing, history."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy import Connection, bindparam, text

from services.registry.model.link import Link
from services.registry.model.standing import KEPT, HistoryEntry, Standing
from services.registry.sql import SqlStore
from services.registry.sql.store import MIGRATIONS, VERSION_TABLE
from services.registry.store import Store
from services.shared.config.model import DatabaseConfig, SqliteConfig
from services.shared.db.database import UtcDateTime, create_engine, write
from services.shared.ids import TailnetId, UserId
from tests.contract.registry_store import CODEC, NOW, opened


@pytest.fixture(params=["fake", "sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(request.param, request, tmp_path) as made:
        yield made


async def test_links_are_found_by_identity_changed_and_forgotten_with_their_user(store: Store) -> None:
    link = Link(issuer="https://a", subject="s", user_id=UserId(1), created_at=NOW, last_login=NOW, groups=("x",))
    other = replace(link, subject="t", groups=None)
    async with store.transaction() as transaction:
        assert await transaction.link("https://a", "s") is None
        await transaction.put_link(link)
        await transaction.put_link(other)
    newer = replace(link, last_login=NOW + timedelta(hours=1), email="a@example.com", groups=())
    async with store.transaction() as transaction:
        assert await transaction.link("https://a", "s") == link
        assert await transaction.link("https://a", "t") == other
        await transaction.put_link(newer)
        assert await transaction.link("https://a", "s") == newer
        assert await transaction.link("https://b", "s") is None
    async with store.transaction() as transaction:
        await transaction.forget_person(UserId(1))
        assert await transaction.link("https://a", "s") is None


async def test_links_are_listed_by_user_keep_their_times_and_can_be_forgotten(store: Store) -> None:
    link = Link(issuer="https://b", subject="s", user_id=UserId(2), created_at=NOW, last_login=NOW)
    first = replace(link, issuer="https://a").in_groups(("x", "y"), NOW)
    second = replace(link, user_id=UserId(1)).in_groups(("é /x",), NOW)
    async with store.transaction() as transaction:
        for one in (first, second):
            await transaction.put_link(one)
        assert await transaction.links() == [second, first]
        assert await transaction.links(UserId(2)) == [first]
        later = first.in_groups(("y", "z"), NOW + timedelta(hours=1))
        await transaction.put_link(later)
    async with store.transaction() as transaction:
        (found,) = await transaction.links(UserId(2))
        assert found.memberships() == [("y", NOW), ("z", NOW + timedelta(hours=1))]
        await transaction.remove_link("https://a", "s")
        assert await transaction.links(UserId(2)) == []


async def test_a_standing_is_the_last_one_and_goes_with_its_user(store: Store) -> None:
    standing = Standing(user_id=UserId(1), number=7, since=NOW, source="administrator", actor="me", reason="left")
    async with store.transaction() as transaction:
        assert await transaction.standing(UserId(1)) is None
        await transaction.put_standing(replace(standing, number=6))
        await transaction.put_standing(standing)
        await transaction.put_standing(replace(standing, user_id=UserId(2)))
    async with store.transaction() as transaction:
        assert await transaction.standing(UserId(1)) == standing
        await transaction.forget_person(UserId(1))
        assert await transaction.standing(UserId(1)) is None
        assert await transaction.standing(UserId(2)) is not None


async def test_a_history_keeps_the_last_entries_of_each_attribute(store: Store) -> None:
    email = HistoryEntry(user_id=UserId(1), at=NOW, attribute="email", before="", after="a@x", source="https://a")
    flapping = [replace(email, attribute="groups", after=str(number)) for number in range(KEPT + 3)]
    other = replace(email, user_id=UserId(2))
    async with store.transaction() as transaction:
        await transaction.add_history([email, other, *flapping])
    async with store.transaction() as transaction:
        found = await transaction.history(UserId(1))
        assert found == [*reversed(flapping[3:]), email]
        await transaction.forget_person(UserId(1))
        assert await transaction.history(UserId(1)) == []
        assert await transaction.history(UserId(2)) == [other]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_people_of_the_previous_version_keep_their_identities_and_groups(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    config = DatabaseConfig(type="sqlite", sqlite=SqliteConfig(path=tmp_path / "db.sqlite"))
    if kind == "postgres":
        config = request.getfixturevalue("server")
    engine = create_engine(config)
    try:
        store = SqlStore(engine, TailnetId("t-before"), CODEC)
        await store.prepare()
        async with write(engine) as connection:
            await connection.run_sync(_back_to, "0002")
            row = {"t": "t-before", "i": "https://a", "s": "s", "u": 1, "n": NOW, "g": '["x"]'}
            columns = "tailnet_id, issuer, subject, user_id, created_at, last_login, display_name, email, groups"
            insert = f"INSERT INTO registry_links ({columns}) VALUES (:t, :i, :s, :u, :n, :n, '', '', :g)"
            statement = text(insert).bindparams(bindparam("n", type_=UtcDateTime))
            await connection.execute(statement, row)
        await store.prepare()
        async with store.transaction() as transaction:
            (link,) = await transaction.links(UserId(1))
            assert (link.groups, link.memberships()) == (("x",), [("x", NOW)])
            assert await transaction.standing(UserId(1)) is None
    finally:
        await engine.dispose()


def _back_to(connection: Connection, revision: str) -> None:
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["version_table"] = VERSION_TABLE
    command.downgrade(config, revision)
