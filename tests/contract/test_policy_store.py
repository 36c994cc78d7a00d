"""What the tables of the policy service promise, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from smartscale.policy.v1 import policy_pb2
from sqlalchemy import Connection, delete
from sqlalchemy.ext.asyncio import AsyncEngine

from services.policy.model.errors import OvertakenError
from services.policy.model.version import NO_POLICY_ETAG, CheckedPolicy, InForce
from services.policy.sql import SqlStore
from services.policy.sql.tables import VERSION_TABLE, metadata
from services.policy.store import KEPT_CHANGES
from services.policy.wire import ChangeCodec
from services.policy.wiring import MIGRATIONS
from services.shared.config.model import DatabaseConfig, SqliteConfig
from services.shared.db.database import create_engine, migrate, read, write
from services.shared.ids import DEFAULT_TAILNET, TailnetId

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
DRAFT = CheckedPolicy('{"acls": []} // ä', b"compiled", "ada", "first", NOW, "a" * 64)


@pytest.fixture(params=["sqlite", "postgres"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    if request.param == "sqlite":
        config = DatabaseConfig(type="sqlite", sqlite=SqliteConfig(path=tmp_path / "db.sqlite"))
    else:
        config = request.getfixturevalue("server")
    made = create_engine(config)
    try:
        await migrate(made, MIGRATIONS, VERSION_TABLE)
        async with write(made) as connection:
            for table in metadata.sorted_tables:
                await connection.execute(delete(table))
        yield made
    finally:
        await made.dispose()


@pytest.fixture
def store(engine: AsyncEngine) -> SqlStore:
    return SqlStore(engine, DEFAULT_TAILNET, ChangeCodec())


async def test_the_migrations_make_the_tables_of_the_code(engine: AsyncEngine) -> None:
    def differences(connection: Connection) -> list[object]:
        options = {"include_name": lambda name, kind, _: kind != "table" or name in metadata.tables}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    async with read(engine) as connection:
        assert await connection.run_sync(differences) == []


async def test_nothing_is_in_force_at_first(store: SqlStore) -> None:
    assert await store.in_force() is None
    assert await store.current() is None
    assert await store.newest() is None
    assert await store.versions(0, 10) == []
    assert (await store.records(0)).last == 0


async def test_an_accepted_version_is_in_force_and_in_the_log(store: SqlStore) -> None:
    version, record = await store.accept(DRAFT, "")
    assert (version.number, version.text, version.etag) == (1, DRAFT.text, DRAFT.etag)
    assert version.created_at == NOW
    assert await store.current() == version
    assert await store.in_force() == InForce(1, b"compiled", 1)
    found = await store.records(0)
    assert found.records == (record,)
    change = policy_pb2.Change.FromString(record.payload)
    assert (change.seq, change.compiled, change.version) == (1, b"compiled", 1)


async def test_versions_are_listed_newest_first_without_text(store: SqlStore) -> None:
    for number in range(1, 5):
        await store.accept(replace(DRAFT, text=f"{{}} // {number}"), "")
    assert [version.number for version in await store.versions(0, 2)] == [4, 3]
    assert [version.number for version in await store.versions(3, 10)] == [2, 1]
    assert {version.text for version in await store.versions(0, 10)} == {""}
    second = await store.version(2)
    assert second is not None
    assert second.text == "{} // 2"
    assert await store.version(9) is None


async def test_two_administrators_do_not_overwrite_each_other_unseen(store: SqlStore) -> None:
    await store.accept(DRAFT, NO_POLICY_ETAG)
    with pytest.raises(OvertakenError):
        await store.accept(replace(DRAFT, text="{}"), NO_POLICY_ETAG)
    drafts = [replace(DRAFT, text=f"{{}} // {number}", etag=str(number)) for number in range(8)]
    tries = await asyncio.gather(*(store.accept(draft, DRAFT.etag) for draft in drafts), return_exceptions=True)
    assert sum(not isinstance(outcome, BaseException) for outcome in tries) == 1
    assert sum(isinstance(outcome, OvertakenError) for outcome in tries) == 7
    assert [version.number for version in await store.versions(0, 10)] == [2, 1]


async def test_numbers_have_no_gap_when_many_write_at_once(store: SqlStore) -> None:
    drafts = [replace(DRAFT, text=f"{{}} // {number}") for number in range(12)]
    made = await asyncio.gather(*(store.accept(draft, "") for draft in drafts))
    assert sorted(version.number for version, _ in made) == list(range(1, 13))
    assert [record.seq for record in (await store.records(0)).records] == list(range(1, 13))


async def test_an_older_form_can_be_put_in_force_without_a_version(store: SqlStore) -> None:
    await store.accept(DRAFT, "")
    record = await store.put_in_force(b"nothing", 0, NOW)
    assert record.seq == 2
    assert await store.in_force() == InForce(2, b"nothing", 0)
    assert await store.current() is None
    newest = await store.newest()
    assert newest is not None
    assert newest.number == 1
    with pytest.raises(OvertakenError):
        await store.accept(DRAFT, DRAFT.etag)


async def test_a_reader_too_far_behind_or_ahead_must_start_over(store: SqlStore) -> None:
    for number in range(KEPT_CHANGES + 5):
        await store.put_in_force(str(number).encode(), 0, NOW)
    last = KEPT_CHANGES + 5
    assert (await store.records(4)).reset
    kept = await store.records(5)
    assert not kept.reset
    assert [record.seq for record in kept.records] == list(range(6, last + 1))
    assert (await store.records(last)).records == ()
    assert not (await store.records(last)).reset
    assert (await store.records(last + 1)).reset


async def test_tailnets_are_apart(engine: AsyncEngine, store: SqlStore) -> None:
    other = SqlStore(engine, TailnetId("other"), ChangeCodec())
    await store.accept(DRAFT, "")
    assert await other.in_force() is None
    version, record = await other.accept(DRAFT, "")
    assert (version.number, record.seq) == (1, 1)
