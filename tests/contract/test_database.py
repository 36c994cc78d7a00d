"""Transactions, instants and migrations: one suite over SQLite and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.shared.config import DatabaseConfig
from services.shared.config.model import PostgresConfig, SqliteConfig
from services.shared.db.database import DatabaseUnavailableError, UtcDateTime, create_engine, migrate, read, write

metadata = MetaData()
THINGS = Table(
    "things",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(40)),
    Column("at", UtcDateTime),
    sqlite_autoincrement=True,
)

ENV = "from services.shared.db.database import run_migrations\n\nrun_migrations()\n"
FIRST = """
from alembic import op
import sqlalchemy as sa

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("made", sa.Column("id", sa.Integer, primary_key=True))
    op.execute("INSERT INTO made (id) VALUES (1)")
"""
BROKEN = """
from alembic import op
import sqlalchemy as sa

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table("half", sa.Column("id", sa.Integer, primary_key=True))
    raise RuntimeError("broken on purpose")
"""


@pytest.fixture(params=["sqlite", "postgres"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> DatabaseConfig:
    if request.param == "postgres":
        found: DatabaseConfig = request.getfixturevalue("server")
        return found
    return DatabaseConfig(sqlite=SqliteConfig(path=tmp_path / "new folder" / "db.sqlite"))


@pytest.fixture
async def engine(config: DatabaseConfig) -> AsyncIterator[AsyncEngine]:
    made = create_engine(config)
    async with write(made) as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
    yield made
    await made.dispose()


async def names(engine: AsyncEngine) -> list[str]:
    async with read(engine) as connection:
        return list((await connection.execute(select(THINGS.c.name).order_by(THINGS.c.id))).scalars())


async def test_a_transaction_commits_at_the_end_of_its_block(engine: AsyncEngine) -> None:
    async with write(engine) as connection:
        await connection.execute(insert(THINGS).values(name="kept"))
    assert await names(engine) == ["kept"]


async def test_a_transaction_that_raises_leaves_nothing(engine: AsyncEngine) -> None:
    with pytest.raises(KeyError):
        async with write(engine) as connection:
            await connection.execute(insert(THINGS).values(name="gone"))
            raise KeyError
    assert await names(engine) == []


async def test_an_engine_that_was_disposed_of_holds_no_file(tmp_path: Path) -> None:
    engine = create_engine(DatabaseConfig(sqlite=SqliteConfig(path=tmp_path / "db.sqlite")))
    for _ in range(2):
        async with write(engine) as connection:
            await connection.run_sync(metadata.create_all)
        assert open_below(tmp_path)
        await engine.dispose()
        assert not open_below(tmp_path)


def open_below(folder: Path) -> list[Path]:
    """Files there that this process has open."""
    links = (descriptor for descriptor in Path("/proc/self/fd").iterdir() if descriptor.is_symlink())
    return [file for link in links if (file := link.readlink()).is_relative_to(folder)]


async def test_a_cancelled_transaction_leaves_nothing_and_blocks_nobody(engine: AsyncEngine) -> None:
    written = asyncio.Event()

    async def hang() -> None:
        async with write(engine) as connection:
            await connection.execute(insert(THINGS).values(name="gone"))
            written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await written.wait()
    task.cancel()
    await asyncio.wait({task})
    async with asyncio.timeout(10), write(engine) as connection:
        await connection.execute(insert(THINGS).values(name="kept"))
    assert await names(engine) == ["kept"]


async def test_many_writers_all_get_their_turn(engine: AsyncEngine, config: DatabaseConfig) -> None:
    other = create_engine(config)

    async def add(number: int) -> None:
        async with write(engine if number % 2 else other) as connection:
            count = len((await connection.execute(select(THINGS.c.id))).all())
            await connection.execute(insert(THINGS).values(name=f"{number} {count}"))

    async with asyncio.timeout(30):
        await asyncio.gather(*(add(number) for number in range(40)))
    assert len(await names(engine)) == 40
    await other.dispose()


async def test_a_reader_is_not_held_up_by_a_writer(engine: AsyncEngine) -> None:
    async with write(engine) as connection:
        await connection.execute(insert(THINGS).values(name="unfinished"))
        async with asyncio.timeout(5):
            assert await names(engine) == []


async def test_instants_come_back_in_utc_and_sort(engine: AsyncEngine) -> None:
    noon = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    async with write(engine) as connection:
        await connection.execute(insert(THINGS), [{"name": "noon", "at": noon}, {"name": "never", "at": None}])
        await connection.execute(insert(THINGS).values(name="later", at=noon + timedelta(microseconds=1)))
    async with read(engine) as connection:
        rows = (await connection.execute(select(THINGS.c.name).where(THINGS.c.at > noon))).scalars().all()
        at = (await connection.execute(select(THINGS.c.at).order_by(THINGS.c.id))).scalars().all()
    assert list(rows) == ["later"]
    assert at[0] == noon
    assert at[0].tzinfo is UTC
    assert at[1] is None


async def test_a_datetime_without_a_zone_is_refused(engine: AsyncEngine) -> None:
    with pytest.raises(StatementError):
        async with write(engine) as connection:
            await connection.execute(insert(THINGS).values(at=datetime(2026, 1, 1)))


async def test_replicas_that_start_together_migrate_once(
    engine: AsyncEngine, config: DatabaseConfig, tmp_path: Path
) -> None:
    scripts = write_migrations(tmp_path / "100% mine", FIRST)
    other = create_engine(config)
    try:
        await asyncio.gather(*(migrate(each, scripts, "test_version") for each in (engine, other, engine)))
        async with read(engine) as connection:
            assert (await connection.execute(text("SELECT count(*) FROM made"))).scalar() == 1
            assert (await connection.execute(text("SELECT version_num FROM test_version"))).scalar() == "0001"
    finally:
        await forget(engine)
        await other.dispose()


async def test_a_migration_that_fails_leaves_nothing_half_done(engine: AsyncEngine, tmp_path: Path) -> None:
    scripts = write_migrations(tmp_path / "m", FIRST, BROKEN)
    with pytest.raises(RuntimeError, match="on purpose"):
        await migrate(engine, scripts, "test_version")
    async with read(engine) as connection:
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    assert "half" not in tables
    assert "made" not in tables
    await forget(engine)


async def test_a_database_that_starts_later_is_waited_for(
    server: DatabaseConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = create_engine(server)
    connect, failures = engine.connect, [ConnectionRefusedError(), ConnectionRefusedError()]
    waited: list[float] = []

    def failing() -> object:
        if failures:
            raise failures.pop()
        return connect()

    async def no_wait(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(AsyncEngine, "connect", lambda _engine: failing())
    monkeypatch.setattr("services.shared.db.database.asyncio.sleep", no_wait)
    await migrate(engine, write_migrations(tmp_path / "m", FIRST), "test_version")
    assert len(waited) == 2
    await forget(engine)
    await engine.dispose()


async def test_a_wrong_password_or_name_is_not_waited_for(server: DatabaseConfig, tmp_path: Path) -> None:
    wrong = replace(server, postgres=replace(server.postgres, name="absent"))
    engine = create_engine(wrong)
    async with asyncio.timeout(10):
        with pytest.raises(DatabaseUnavailableError, match="absent"):
            await migrate(engine, tmp_path, "test_version")
    await engine.dispose()


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite"
    path.write_bytes(b"not a database" * 100)
    engine = create_engine(DatabaseConfig(sqlite=SqliteConfig(path=path)))
    with pytest.raises(DatabaseUnavailableError, match=r"db.sqlite.*not a database"):
        await migrate(engine, tmp_path, "test_version")
    await engine.dispose()


def test_sqlite_is_set_up_for_many_readers_and_true_references(tmp_path: Path) -> None:
    async def pragmas() -> list[object]:
        engine = create_engine(DatabaseConfig(sqlite=SqliteConfig(path=tmp_path / "db.sqlite")))
        async with read(engine) as connection:
            found = [
                (await connection.execute(text(f"PRAGMA {name}"))).scalar()
                for name in ("journal_mode", "foreign_keys", "synchronous")
            ]
        await engine.dispose()
        return found

    assert asyncio.run(pragmas()) == ["wal", 1, 1]


async def test_another_process_that_writes_holds_up_a_transaction_but_not_the_loop(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite"
    engine = create_engine(DatabaseConfig(sqlite=SqliteConfig(path=path)))
    async with write(engine) as connection:
        await connection.run_sync(metadata.create_all)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    async def add() -> None:
        async with write(engine) as connection:
            await connection.execute(insert(THINGS).values(name="waited"))

    adding = asyncio.create_task(add())
    for _ in range(10):
        await asyncio.sleep(0.001)
    assert not adding.done()
    other.execute("COMMIT")
    other.close()
    async with asyncio.timeout(10):
        await adding
    assert await names(engine) == ["waited"]
    await engine.dispose()


async def test_the_log_of_sqlite_does_not_grow_for_ever(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite"
    engine = create_engine(DatabaseConfig(sqlite=SqliteConfig(path=path, wal_autocheckpoint=16)))
    async with write(engine) as connection:
        await connection.run_sync(metadata.create_all)
    async with asyncio.timeout(30):
        while b"row 0" not in path.read_bytes():
            async with write(engine) as connection:
                await connection.execute(insert(THINGS).values(name="row 0"))
    await engine.dispose()


async def test_without_a_log_readers_and_writers_take_turns(tmp_path: Path) -> None:
    config = DatabaseConfig(sqlite=SqliteConfig(path=tmp_path / "db.sqlite", write_ahead_log=False))
    engine = create_engine(config)
    async with write(engine) as connection:
        await connection.run_sync(metadata.create_all)
        await connection.execute(insert(THINGS).values(name="kept"))
    assert await names(engine) == ["kept"]
    await engine.dispose()


def write_migrations(folder: Path, *revisions: str) -> Path:
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text(ENV)
    for number, revision in enumerate(revisions, 1):
        (folder / "versions" / f"{number:04d}_step.py").write_text(revision)
    return folder


async def forget(engine: AsyncEngine) -> None:
    async with write(engine) as connection:
        for table in ("made", "test_version"):
            await connection.execute(text(f"DROP TABLE IF EXISTS {table}"))


async def test_a_database_that_is_away_is_told_apart_from_a_statement_that_is_wrong(engine: AsyncEngine) -> None:
    with pytest.raises(DBAPIError):
        async with read(engine) as connection:
            await connection.execute(text("SELECT nonsense FROM nowhere"))
    nobody = create_engine(
        DatabaseConfig(type="postgres", postgres=PostgresConfig(host="127.0.0.1", port=1, name="x", user="x"))
    )
    with pytest.raises(DatabaseUnavailableError, match="the database failed"):
        async with write(nobody):
            pass
    await nobody.dispose()
