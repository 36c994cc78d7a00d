"""Database access: engines, transactions, migrations and the column type of instants. Knows no table.

One URL serves all services; each has tables and a version table of its own. On SQLite a transaction that writes begins
with BEGIN IMMEDIATE, because a read transaction that later wants to write fails at once when another wrote meanwhile,
whatever the busy timeout. Writers of one process queue on a lock instead of polling the file. How SQLite
is run without threads is in `services.shared.db.sqlite`.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import URL, Connection, DateTime, Dialect, TypeDecorator, event, text
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from services.shared.config.model import DatabaseConfig, PostgresConfig, SqliteConfig
from services.shared.db import sqlite
from services.shared.db.causes import cause_of
from services.shared.db.engine import AsyncConnection, AsyncEngine, create_async_engine
from services.shared.db.file import OpenedFile
from services.shared.db.file import prepare as prepare_file
from services.shared.db.prepared import run_text
from services.shared.db.revisions import is_current, record_program
from services.shared.db.unavailable import DatabaseUnavailableError as DatabaseUnavailableError
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

_WRITES = "smartscale_writes"
_MIGRATION_LOCK = 0x736D6172  # "smar": the advisory lock that replicas starting together take in turn

_STARTING = ("57P03", "57P02", "53300")
"""SQLSTATEs of PostgreSQL: starting up, just crashed, no connection free."""

START_TIMEOUT = 30.0
"""Seconds that a service waits for its database at startup."""

_writers: WeakKeyDictionary[AsyncEngine, sqlite.Writer] = WeakKeyDictionary()
_files: WeakKeyDictionary[AsyncEngine, OpenedFile] = WeakKeyDictionary()
_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Lock]] = WeakKeyDictionary()


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: accepts only aware datetimes, returns them in UTC, and sorts correctly on SQLite too."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert an aware datetime to the stored form."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a datetime without a zone is not an instant")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert the stored form to an aware datetime."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def create_engine(config: DatabaseConfig) -> AsyncEngine:
    """Return a lazily connecting engine for the configured database. The caller disposes of it."""
    if config.type == "postgres":
        return _postgres(config.postgres, config.debug)
    return _sqlite(config.sqlite, config.debug)


@asynccontextmanager
async def write(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a writing transaction: commits at the end of the block, rolls back if it raises.

    Raises:
        DatabaseUnavailableError: the database is unreachable, or the connection was lost; the commit is then uncertain.
    """
    with _translate_failures(engine):
        if engine.dialect.name != "sqlite":
            async with engine.begin() as connection:
                yield connection
            return
        if (writer := _writers.get(engine)) is None:
            writer = _writers[engine] = sqlite.Writer(engine)
        async with _lock(f"write {engine.url.database}"), writer.transaction(engine, {_WRITES: True}) as connection:
            yield connection


@asynccontextmanager
async def read(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """Open a read-only transaction; on SQLite it reads one snapshot of the database.

    Raises:
        DatabaseUnavailableError: the database is unreachable, or the connection was lost.
    """
    with _translate_failures(engine):
        async with engine.connect() as connection:
            yield connection


@contextmanager
def _translate_failures(engine: AsyncEngine) -> Iterator[None]:
    """Raise DatabaseUnavailableError for failures of the database; errors of wrong statements, which are bugs, pass."""
    if (file := _files.get(engine)) is not None:
        file.check()
    try:
        yield
    except (IntegrityError, ProgrammingError, DataError, NotSupportedError):
        raise
    except DBAPIError as error:
        if (cause := cause_of(error.orig, f"the database file {engine.url.database}")) is None:
            raise
        raise DatabaseUnavailableError(cause) from error
    except sqlite3.Error as error:  # of a prepared statement, which does not go through SQLAlchemy
        if (cause := cause_of(error, f"the database file {engine.url.database}")) is None:
            raise
        raise DatabaseUnavailableError(cause) from error
    except (OSError, PoolTimeoutError) as error:
        if isinstance(error, DatabaseUnavailableError):
            raise
        raise DatabaseUnavailableError(f"the database failed: {type(error).__name__}") from error


async def migrate(engine: AsyncEngine, package_dir: Path, version_table: str) -> None:
    """Migrate the tables of one service to the newest version, or wait while another replica does.

    `package_dir` is the folder that holds `env.py` and `versions/`.

    Raises:
        DatabaseUnavailableError: it cannot be reached, or refuses us.
    """
    await wait_until_reachable(engine)
    # Alembic's `op` and `context` are proxies of the whole process, so only one service may migrate at a time.
    async with _lock("migrate"), write(engine) as connection:
        if engine.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        if not await connection.run_sync(is_current, package_dir, version_table):
            await connection.run_sync(upgrade_on, package_dir, version_table)


async def wait_until_reachable(engine: AsyncEngine) -> None:
    """Connect once; wait up to `START_TIMEOUT` seconds for a PostgreSQL that is starting.

    Raises:
        DatabaseUnavailableError: it cannot be reached, or refuses us.
    """
    deadline = asyncio.get_running_loop().time() + START_TIMEOUT
    while True:
        try:
            async with engine.connect():
                return
        except (OSError, DBAPIError) as error:
            if not _is_starting(error) or asyncio.get_running_loop().time() > deadline:
                reason = error.orig if isinstance(error, DBAPIError) else error
                raise DatabaseUnavailableError(f"database {engine.url.database}: {reason}") from error
            where = f"{engine.url.host}:{engine.url.port}"
            log.warning("database not ready yet", address=where, error=type(error).__name__)
        await asyncio.sleep(1)


def _is_starting(error: OSError | DBAPIError) -> bool:
    if isinstance(error, DBAPIError):
        return getattr(error.orig, "sqlstate", None) in _STARTING
    return True


def run_migrations() -> None:
    """Run a service's migrations inside the transaction that `migrate` opened; the body of `migrations/env.py`."""
    from alembic import context

    attributes = context.config.attributes
    context.configure(connection=attributes["connection"], version_table=attributes["version_table"])
    with context.begin_transaction():
        context.run_migrations()


def upgrade_on(connection: Connection, package_dir: Path, version_table: str, revision: str = "head") -> None:
    """Migrate the tables of one service to a revision, inside the connection's transaction."""
    from alembic import command
    from alembic.config import Config as AlembicConfig

    config = AlembicConfig()
    config.set_main_option("script_location", str(package_dir).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["version_table"] = version_table
    command.upgrade(config, revision)
    record_program(connection, version_table)


def _lock(name: str) -> asyncio.Lock:
    return _locks.setdefault(asyncio.get_running_loop(), {}).setdefault(name, asyncio.Lock())


def _sqlite(config: SqliteConfig, debug: bool) -> AsyncEngine:
    prepare_file(config.path)
    if config.write_ahead_log:
        engine = sqlite.on_loop(config.path, echo=debug, pool_size=4, max_overflow=4)
        sqlite.tend(engine, config.path, config.wal_autocheckpoint)
    else:
        url = URL.create("sqlite+aiosqlite", database=str(config.path))
        engine = create_async_engine(url, echo=debug, pool_size=4, max_overflow=4)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver must not begin transactions behind our back
        cursor = connection.cursor()
        if config.write_ahead_log:
            sqlite.set_up(cursor, config.wal_autocheckpoint)
        else:
            cursor.execute("PRAGMA busy_timeout=10000")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        run_text(connection, "BEGIN IMMEDIATE" if writes else "BEGIN")

    _files[engine] = OpenedFile(config.path)
    return engine


def _postgres(config: PostgresConfig, debug: bool) -> AsyncEngine:
    url = URL.create(
        "postgresql+asyncpg",
        username=config.user or None,
        password=config.password or None,
        host=None if config.host.startswith("/") else config.host,
        port=None if config.host.startswith("/") else config.port,
        database=config.name or None,
        query={"host": config.host} if config.host.startswith("/") else {},
    )
    size = max(1, min(config.max_idle_conns, config.max_open_conns))
    return create_async_engine(
        url,
        echo=debug,
        pool_size=size,
        max_overflow=max(0, config.max_open_conns - size),
        pool_recycle=config.conn_max_idle_time_secs,
        pool_pre_ping=True,
        connect_args={"ssl": config.ssl, "timeout": 10},
    )
