"""The SQLite file on its disk: who may read it, who may use it, and what is said when it is lost, full or damaged."""

# ruff: noqa: ASYNC220, ASYNC221, ASYNC240  files and one small program are what these tests are about

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.shared.config import DatabaseConfig
from services.shared.config.model import SqliteConfig
from services.shared.db.causes import cause_of
from services.shared.db.database import DatabaseUnavailableError, create_engine, read, write
from services.shared.db.file import DatabaseInUseError, hold

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "db.sqlite"


@pytest.fixture(params=[True, False], ids=["wal", "no wal"])
async def engine(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[AsyncEngine]:
    made = create_engine(DatabaseConfig(sqlite=SqliteConfig(path=path, write_ahead_log=request.param)))
    async with write(made) as connection:
        await connection.execute(text("CREATE TABLE words (word TEXT)"))
    yield made
    await made.dispose()


async def add(engine: AsyncEngine, word: str = "x") -> None:
    async with write(engine) as connection:
        await connection.execute(text("INSERT INTO words VALUES (:word)"), {"word": word})


async def count(engine: AsyncEngine) -> object:
    async with read(engine) as connection:
        return await connection.scalar(text("SELECT count(*) FROM words"))


def modes(folder: Path) -> dict[str, str]:
    return {one.name: f"{stat.S_IMODE(one.stat().st_mode):04o}" for one in [folder, *folder.iterdir()]}


async def test_only_the_owner_may_read_the_database(engine: AsyncEngine, path: Path) -> None:
    await add(engine)
    found = modes(path.parent)
    assert found.pop("state") == "0700"
    assert "db.sqlite" in found
    assert set(found.values()) == {"0600"}


async def test_rights_that_others_had_are_taken_away(path: Path) -> None:
    path.parent.mkdir(mode=0o755)
    path.touch(mode=0o644)
    path.chmod(0o644)
    await create_engine(DatabaseConfig(sqlite=SqliteConfig(path=path))).dispose()
    assert modes(path.parent) == {"state": "0755", "db.sqlite": "0600"}


async def test_nothing_is_stored_in_a_file_that_was_removed(engine: AsyncEngine, path: Path) -> None:
    await add(engine)
    path.unlink()
    for attempt in (add(engine), count(engine), add(engine)):
        with pytest.raises(
            DatabaseUnavailableError, match=r"db\.sqlite was removed under the running server; .* backup"
        ):
            await attempt
    assert not path.exists()


async def test_nothing_is_stored_in_a_file_that_took_its_place(engine: AsyncEngine, path: Path) -> None:
    await add(engine)
    path.rename(path.with_name("old"))
    path.write_bytes(b"")
    with pytest.raises(DatabaseUnavailableError, match="was replaced"):
        await add(engine)
    path.with_name("old").rename(path)
    await add(engine)
    assert await count(engine) == 2


async def test_a_second_engine_of_the_process_keeps_the_locks_of_the_first(engine: AsyncEngine, path: Path) -> None:
    await add(engine)
    await create_engine(DatabaseConfig(sqlite=SqliteConfig(path=path))).dispose()
    before = {one.name: one.stat().st_ino for one in path.parent.iterdir()}
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(*c.execute('SELECT count(*) FROM words')"
    reading = [sys.executable, "-c", f"{code}.fetchone()); c.close()", str(path)]
    assert subprocess.run(reading, capture_output=True, text=True, check=True).stdout == "1\n"
    assert {one.name: one.stat().st_ino for one in path.parent.iterdir()} == before, "the log in use was removed"
    await add(engine)
    assert subprocess.run(reading, capture_output=True, text=True, check=True).stdout == "2\n"


async def test_a_full_disk_is_named(engine: AsyncEngine) -> None:
    async with read(engine) as connection:
        pages = await connection.scalar(text("PRAGMA page_count"))
    with pytest.raises(
        DatabaseUnavailableError, match=r"the disk of the database file .*db\.sqlite is full: free space on it"
    ):
        async with write(engine) as connection:
            await connection.execute(text(f"PRAGMA max_page_count={pages}"))
            await connection.execute(text("INSERT INTO words VALUES (:word)"), {"word": "x" * 100_000})


async def test_damage_is_named(path: Path) -> None:
    config = DatabaseConfig(sqlite=SqliteConfig(path=path))
    engine = create_engine(config)
    async with write(engine) as connection:
        await connection.execute(text("CREATE TABLE words (word TEXT)"))
        await connection.execute(text("INSERT INTO words VALUES (:word)"), {"word": "x" * 100_000})
    await engine.dispose()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    engine = create_engine(config)
    with pytest.raises(DatabaseUnavailableError, match=r"db\.sqlite is damaged: stop the server, and restore a backup"):
        await add(engine)
    await engine.dispose()


class FailedError(Exception):
    """As PostgreSQL's driver reports."""

    def __init__(self, state: str) -> None:
        super().__init__("value 'secret' is wrong")
        self.sqlstate = state


@pytest.mark.parametrize(
    ("state", "words"),
    [("53100", "disk"), ("25006", "read-only"), ("28P01", "password"), ("57P03", "starting"), ("99999", "Failed")],
)
def test_the_causes_of_postgresql_are_named_and_no_value_is(state: str, words: str) -> None:
    cause = cause_of(FailedError(state), "x")
    assert cause is not None and words in cause
    assert "secret" not in cause


async def test_a_second_server_on_the_file_is_refused_in_words(path: Path) -> None:
    everything = ("auth", "policy", "registry")
    program = f"""
import sys
from pathlib import Path
from services.shared.db.file import hold
with hold(Path({str(path)!r}), sys.argv[1:]):
    print("held", flush=True)
    sys.stdin.read()
"""
    other = subprocess.Popen(
        [sys.executable, "-c", program, *everything], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    assert other.stdout.readline() == b"held\n"
    with (
        pytest.raises(
            DatabaseInUseError, match=rf"db\.sqlite is in use by another server \(process {other.pid}\); stop"
        ),
        hold(path, ["auth"]),
    ):
        pass
    other.kill()
    other.communicate()
    with hold(path, everything):
        pass


def test_services_of_a_stack_share_a_file_and_the_same_one_twice_does_not(path: Path) -> None:
    with hold(path, ["registry"]), hold(path, ["policy"]):
        with pytest.raises(DatabaseInUseError), hold(path, ["registry"]):
            pass
        with hold(path, ["auth"]):
            pass


def test_a_file_that_is_gone_since_the_last_start_is_a_warning(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with hold(path, ["auth"]):
        path.touch()
    path.unlink()
    with hold(path, ["auth"]):
        pass
    assert "database file missing, creating an empty one" in caplog.text
