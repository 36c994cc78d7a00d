"""Statements that the driver runs itself: one suite over SQLite and a real PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Boolean, Column, Integer, LargeBinary, MetaData, Table, Text, bindparam, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from services.shared.config import DatabaseConfig
from services.shared.config.model import SqliteConfig
from services.shared.db.database import DatabaseUnavailableError, UtcDateTime, create_engine, read, write
from services.shared.db.prepared import Prepared
from tests.fakes import postgres

metadata = MetaData()
THINGS = Table(
    "prepared_things",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("at", UtcDateTime),
    Column("data", LargeBinary),
    Column("good", Boolean, nullable=False),
)
ADD = Prepared(THINGS.insert())
NAME_OF = Prepared(select(THINGS.c.name).where(THINGS.c.id == bindparam("number")))
NOON = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


def row(number: int, name: str = "one") -> dict[str, object]:
    """All columns of a thing."""
    return {"id": number, "name": name, "at": NOON, "data": b"\0\xff", "good": True}


@pytest.fixture(scope="module")
def server() -> Iterator[DatabaseConfig]:
    if postgres.programs() is None:
        pytest.skip(postgres.MISSING)
    with postgres.postgres() as config:
        yield config


@pytest.fixture(params=["sqlite", "sqlite without WAL", "postgres"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    config = DatabaseConfig(sqlite=SqliteConfig(path=tmp_path / "db.sqlite", write_ahead_log=request.param == "sqlite"))
    if request.param == "postgres":
        config = request.getfixturevalue("server")
    made = create_engine(config)
    async with write(made) as connection:
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
    yield made
    await made.dispose()


async def test_what_it_writes_is_what_others_read(engine: AsyncEngine) -> None:
    async with write(engine) as connection:
        await ADD.run(connection, [row(1)])
        await ADD.run(connection, [row(2, "two"), {**row(3, "three"), "at": None, "data": None, "good": False}])
    async with read(engine) as connection:
        found = (await connection.execute(select(THINGS).order_by(THINGS.c.id))).all()
    assert [tuple(one) for one in found] == [
        (1, "one", NOON, b"\0\xff", True),
        (2, "two", NOON, b"\0\xff", True),
        (3, "three", None, None, False),
    ]


async def test_it_reads_one_value_or_none(engine: AsyncEngine) -> None:
    async with write(engine) as connection:
        await connection.execute(THINGS.insert(), [row(1)])
        assert await NAME_OF.value(connection, {"number": 1}) == "one"
        assert await NAME_OF.value(connection, {"number": 2}) is None


async def test_it_goes_back_with_the_transaction(engine: AsyncEngine) -> None:
    with pytest.raises(KeyError):
        async with write(engine) as connection:
            await ADD.run(connection, [row(1)])
            raise KeyError
    async with read(engine) as connection:
        assert await NAME_OF.value(connection, {"number": 1}) is None


async def test_its_errors_are_those_of_any_statement_and_tell_no_values(engine: AsyncEngine) -> None:
    async with write(engine) as connection:
        await ADD.run(connection, [row(1)])
    with pytest.raises(IntegrityError) as caught:
        async with write(engine) as connection:
            await ADD.run(connection, [row(1, "a name that nobody may read in a log")])
    assert "nobody may read" not in str(caught.value)
    async with write(engine) as connection:
        await ADD.run(connection, [row(2)])


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
async def test_a_reader_that_begins_with_it_sees_one_state(engine: AsyncEngine) -> None:
    async with read(engine) as reader:
        assert await NAME_OF.value(reader, {"number": 1}) is None
        async with write(engine) as connection:
            await ADD.run(connection, [row(1)])
        assert (await reader.execute(select(THINGS.c.name))).all() == []


@pytest.mark.parametrize("engine", ["postgres"], indirect=True)
async def test_a_connection_that_is_lost_is_told_and_replaced(engine: AsyncEngine) -> None:
    with pytest.raises(DatabaseUnavailableError):
        async with write(engine) as connection:
            own = await connection.scalar(text("SELECT pg_backend_pid()"))
            async with write(engine) as other:
                await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": own})
            await ADD.run(connection, [row(1)])
    async with write(engine) as connection:
        await ADD.run(connection, [row(1)])
