"""SQLite on the event loop: statements run in the calling coroutine, without a thread. Knows no table.

In WAL mode no statement waits for a disk or for another connection, with the three exceptions below. A statement takes
some 10 us, two hops to a thread and back 150 us of CPU, and a small transaction has eight statements: through threads
the hops were most of what a change cost.

* Another process may have the write lock: `begin` then retries after a pause, in which the loop continues.
* A checkpoint syncs the file: it runs in a thread, on a connection of its own, every so many commits. Only when that
  fails for long does a commit do it (`BACKSTOP`).
* Without WAL readers and writers wait for each other, so such a database is used through threads (`aiosqlite`).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util import await_only

from services.shared.db.engine import AsyncConnection, AsyncEngine
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

BUSY_TIMEOUT = 20
"""Milliseconds that a statement may block the loop for another process's lock."""
LOCK_TIMEOUT = 10.0
"""Seconds that a transaction waits for another process's lock."""
BACKSTOP = 8
"""Multiple of the configured number of pages after which a commit makes the checkpoint itself."""
_RETRY = 0.01
_PAGES_OF_A_COMMIT = 8
"""Estimated pages that a small transaction appends to the log."""


class _Cursor(sqlite3.Cursor):
    async def _async_soft_close(self) -> None:
        """Called once a statement has run; its rows are read later, and end the statement."""


class _Connection(sqlite3.Connection):
    def cursor(self, factory: Any = _Cursor) -> Any:
        return super().cursor(factory)


class OnLoopDialect(SQLiteDialect_pysqlite):
    """`sqlite3` for `AsyncEngine`: usable from coroutines, never awaits."""

    driver = "onloop"
    is_async = True
    supports_statement_cache = True

    def do_execute(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
        """Run a statement."""
        await_only(_nothing())
        cursor.execute(statement, parameters)

    def do_executemany(self, cursor: Any, statement: Any, parameters: Any, context: Any = None) -> None:
        """Run a statement for each of several rows."""
        await_only(_nothing())
        cursor.executemany(statement, parameters)


async def _nothing() -> None:
    """Await nothing: SQLAlchemy refuses a driver that never awaits, as it assumes that it blocks."""


registry.register("sqlite.onloop", __name__, "OnLoopDialect")


class Checkpoints:
    """Background checkpoints of the WAL into the database, in a thread, after a number of commits."""

    def __init__(self, path: Path, pages: int) -> None:
        self._path = path
        self._every = max(1, pages // _PAGES_OF_A_COMMIT)
        self._commits = 0
        self._running: Future[None] | asyncio.Future[None] | None = None

    def committed(self, _connection: Connection) -> None:
        """Count a commit, and start a checkpoint if one is due."""
        self._commits += 1
        if self._commits < self._every or (self._running is not None and not self._running.done()):
            return
        self._commits = 0
        self._running = asyncio.get_running_loop().run_in_executor(None, self._checkpoint)

    def _checkpoint(self) -> None:
        try:
            # Never create the file: a removed file must not come back empty.
            connection = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True, timeout=1)
            try:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            finally:
                connection.close()
        except sqlite3.Error as error:
            log.warning("checkpoint failed, will be retried", error=type(error).__name__)


def on_loop(path: Path, *, echo: bool, pool_size: int, max_overflow: int) -> AsyncEngine:
    """Return an engine that runs statements on the loop; the caller sets up its connections."""
    engine = create_engine(
        URL.create("sqlite+onloop", database=str(path)),
        echo=echo,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=pool_size,
        max_overflow=max_overflow,
        connect_args={"factory": _Connection, "check_same_thread": False, "timeout": BUSY_TIMEOUT / 1000},
    )
    return AsyncEngine(engine)


def set_up(cursor: Any, pages: int) -> None:
    """Set the pragmas of a connection that is used on the loop."""
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT:d}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute(f"PRAGMA wal_autocheckpoint={max(pages, 0) * BACKSTOP:d}")


def tend(engine: AsyncEngine, path: Path, pages: int) -> None:
    """Checkpoint the engine's database every `pages` pages; 0 means never."""
    if pages > 0:
        event.listen(engine.sync_engine, "commit", Checkpoints(path, pages).committed)


async def at_once(connection: AsyncConnection, work: Callable[[Connection, *Ts], T], *arguments: *Ts) -> T:
    """Run a function on a connection, without a greenlet if the driver never awaits.

    A greenlet's stack is mapped and unmapped each time: 30 us of CPU, as much as a statement.
    """
    if isinstance(connection.dialect, OnLoopDialect):
        assert connection.sync_connection is not None
        return work(connection.sync_connection, *arguments)
    return await connection.run_sync(work, *arguments)


class Writer:
    """The writing connection of an engine, kept between transactions; one transaction at a time."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._kept: AsyncConnection | None = None
        event.listen(engine.sync_engine, "engine_disposed", self._disposed)

    @asynccontextmanager
    async def transaction(self, engine: AsyncEngine, options: Mapping[str, Any]) -> AsyncIterator[AsyncConnection]:
        """Open a transaction with these execution options: commits at the end of the block, rolls back if it raises.

        Raises:
            OperationalError: another process kept the write lock for too long.
        """
        connection, self._kept = self._kept, None
        if connection is None:
            connection = await (await engine.connect()).execution_options(**options)
        try:
            await begin(connection)
            yield connection
            await at_once(connection, Connection.commit)
        except BaseException:
            await connection.close()  # rolls back; the state of the connection is unknown
            raise
        self._kept = connection

    def _disposed(self, _engine: object) -> None:
        connection, self._kept = self._kept, None
        if connection is not None and connection.sync_connection is not None:
            connection.sync_connection.invalidate()
            connection.sync_connection.close()


async def begin(connection: AsyncConnection) -> None:
    """Begin a transaction; wait without blocking the loop while another process has the write lock.

    Raises:
        OperationalError: the lock was not free within `LOCK_TIMEOUT`.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LOCK_TIMEOUT
    while True:
        try:
            await at_once(connection, Connection.begin)
            return
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY or loop.time() > deadline:
                raise
        await asyncio.sleep(_RETRY)
