"""Read-only access to a foreign database without side effects: no lock, no new file, no table.

A SQLite file is opened with `immutable=1`, since even `mode=ro` makes `-shm` and `-wal` files beside it. That mode
ignores a journal, so where one is left of a server that did not end in order, file and journal are copied to a
temporary folder, where SQLite may finish its work. PostgreSQL is read in one read-only transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import sqlite3
import struct
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Protocol

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from services.shared.config.model import DatabaseConfig, SqliteConfig
from services.shared.db.engine import AsyncConnection
from services.shared.file_rights import unreadable

Row = Mapping[str, object]

_PAGE = 500
"""Rows per fetch."""
_LOCK_BYTES = (0x40000000, 512)
"""Offset of SQLite's locks in its file (PENDING_BYTE, sqlite `src/os.h`)."""
_NO_SUCH_DATABASE = "3D000"
"""PostgreSQL's SQLSTATE `invalid_catalog_name`."""
LOCK_TIMEOUT = 30
"""Seconds to wait for a table of PostgreSQL that another client has locked, such as a migration of ours that runs."""
_LOCKED = "55P03"
"""PostgreSQL's SQLSTATE `lock_not_available`."""
_MOST_IDS = 5_000_000
"""Maximum number of ids tried one by one in a damaged table."""


class UntouchedError(Exception):
    """The database cannot be read; `remedy` says what would help."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


class MissingDatabaseError(UntouchedError):
    """The PostgreSQL server answers, and has no database of this name."""


class ForeignDatabase(Protocol):
    """A database that is only read."""

    name: str
    """Path or `host/database`, for messages."""
    kind: str
    """`sqlite` or `postgres`."""
    unreadable: dict[str, int]
    """Rows of each table that are on damaged pages, as far as `rows` met them."""

    async def tables(self) -> dict[str, frozenset[str]]:
        """Return the names of all tables with those of their columns."""
        ...

    async def value(self, statement: str) -> object:
        """Return the first column of the first row; None if there is no row."""
        ...

    def rows(self, table: str, order: str) -> AsyncIterator[Row]:
        """Give all rows of a table in the order of an integer column."""
        ...

    async def connections(self) -> int:
        """Return the number of other clients that are connected, as far as the database says."""
        ...

    async def last_id(self, table: str) -> int:
        """Return the greatest id that was ever given in a table, as far as the database remembers; else 0."""
        ...


@asynccontextmanager
async def open_untouched(config: DatabaseConfig, *, journal: bool = True) -> AsyncIterator[ForeignDatabase]:
    """Open the configured database for reading. Without `journal` only what is in the file of SQLite itself is read.

    Raises:
        UntouchedError: it cannot be reached or read; cause and remedy are named.
    """
    if config.type == "postgres":
        async with _postgres(config) as source:
            yield source
        return
    with _sqlite(config.sqlite, journal) as source:
        yield source


_asked: dict[tuple[int, int], int] = {}
"""Descriptors that `is_in_use` opened, by device and inode of the file; they stay open until the process ends."""


def is_in_use(path: Path) -> bool:
    """Return whether another process holds a lock on a SQLite file, as each connection to a WAL database does.

    Takes no lock itself. The descriptor is kept open: closing one drops every POSIX lock that this process has on the
    file, those of its own SQLite connections included (fcntl(2)).
    """
    start, length = _LOCK_BYTES
    try:
        found = path.stat()
        identity = (found.st_dev, found.st_ino)
        if identity not in _asked:
            _asked[identity] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        wanted = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
        answer = fcntl.fcntl(_asked[identity], fcntl.F_GETLK, wanted)
    except OSError:
        return False
    kind: int = struct.unpack("hhqqi4x", answer)[0]
    return kind != fcntl.F_UNLCK


class _SqliteSource:
    """A SQLite file."""

    kind = "sqlite"

    def __init__(self, connection: sqlite3.Connection, name: str) -> None:
        self._connection = connection
        self.name = name
        self.unreadable: dict[str, int] = {}

    async def tables(self) -> dict[str, frozenset[str]]:
        with self._translate_failures():
            found = self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            return {name: frozenset(self._columns(name)) for (name,) in found}

    async def value(self, statement: str) -> object:
        with self._translate_failures():
            row = self._connection.execute(statement).fetchone()
        return None if row is None else row[0]

    async def rows(self, table: str, order: str) -> AsyncIterator[Row]:
        columns = self._columns(table)
        last: int | None = None
        try:
            for page in self._pages(table, order, columns):
                for row in page:
                    number = row[order]
                    last = number if isinstance(number, int) else last
                    yield row
                await asyncio.sleep(0)
        except sqlite3.DatabaseError:
            # A page of the table is damaged. Rows on other pages are still found by their id.
            async for found in self._one_by_one(table, order, columns, 0 if last is None else last):
                yield found

    async def connections(self) -> int:
        return 0

    async def last_id(self, table: str) -> int:
        if "sqlite_sequence" not in await self.tables():
            return 0
        found = await self.value(f"SELECT seq FROM sqlite_sequence WHERE name = '{table}'")
        return found if isinstance(found, int) else 0

    def _pages(self, table: str, order: str, columns: list[str]) -> Iterator[list[dict[str, object]]]:
        cursor = self._connection.execute(f'SELECT * FROM "{table}" ORDER BY "{order}"')
        while found := cursor.fetchmany(_PAGE):
            yield [dict(zip(columns, values, strict=True)) for values in found]

    async def _one_by_one(self, table: str, order: str, columns: list[str], after: int) -> AsyncIterator[Row]:
        greatest = self._greatest(table, order, after)
        for number in range(after + 1, min(greatest, after + _MOST_IDS) + 1):
            try:
                found = self._connection.execute(f'SELECT * FROM "{table}" WHERE "{order}" = ?', (number,)).fetchone()
            except sqlite3.DatabaseError:
                self.unreadable[table] = self.unreadable.get(table, 0) + 1
                continue
            if found is not None:
                yield dict(zip(columns, found, strict=True))

    def _greatest(self, table: str, order: str, after: int) -> int:
        """Return the greatest id that is known in any way."""
        known = [after]
        for statement, values in (
            (f'SELECT max("{order}") FROM "{table}"', ()),
            ("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)),
        ):
            with contextlib.suppress(sqlite3.DatabaseError):
                row = self._connection.execute(statement, values).fetchone()
                known.append(int(row[0] or 0) if row else 0)
        return max(known)

    def _columns(self, table: str) -> list[str]:
        return [str(row[1]) for row in self._connection.execute(f'PRAGMA table_info("{table}")')]

    @contextmanager
    def _translate_failures(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise _explain(error, self.name) from None


class _PostgresSource:
    """A PostgreSQL database, in one transaction that sees one state of it."""

    kind = "postgres"

    def __init__(self, connection: AsyncConnection, name: str) -> None:
        self._connection = connection
        self.name = name
        self.unreadable: dict[str, int] = {}

    async def tables(self) -> dict[str, frozenset[str]]:
        rows = await self._connection.execute(
            text(
                # Not of information_schema, which lists only tables that this user has rights on.
                "SELECT c.relname, a.attname FROM pg_class c"
                " JOIN pg_namespace n ON n.oid = c.relnamespace"
                " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
                " WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY (current_schemas(false))"
            )
        )
        found: dict[str, set[str]] = {}
        for table, column in rows:
            found.setdefault(table, set()).add(column)
        return {table: frozenset(columns) for table, columns in found.items()}

    async def value(self, statement: str) -> object:
        value: object = await self._connection.scalar(text(statement))
        return value

    async def rows(self, table: str, order: str) -> AsyncIterator[Row]:
        rows = await self._connection.stream(text(f'SELECT * FROM "{table}" ORDER BY "{order}"'))
        async for part in rows.mappings().partitions(_PAGE):
            for row in part:
                yield {str(name): value for name, value in row.items()}

    async def connections(self) -> int:
        found = await self.value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return found if isinstance(found, int) else 0

    async def last_id(self, table: str) -> int:
        found = await self.value(
            f"SELECT max(last_value) FROM pg_sequences WHERE sequencename = '{table}_id_seq'"
            " AND schemaname = ANY (current_schemas(false))"
        )
        return found if isinstance(found, int) else 0


@contextmanager
def _sqlite(config: SqliteConfig, journal: bool) -> Iterator[_SqliteSource]:
    path = config.path
    try:
        readable = path.is_file() and os.access(path, os.R_OK)
    except OSError:
        readable = False
    if not readable:
        raise UntouchedError(*(unreadable(path) or (f"{path} cannot be read", "name a file")))
    with contextlib.ExitStack() as stack:
        place = path
        if journal and _has_journal(path):
            place = _copied(path, Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headscale-read-"))))
            uri = place.absolute().as_uri()
        else:
            uri = f"{place.absolute().as_uri()}?immutable=1"
        try:
            connection = sqlite3.connect(uri, uri=True, check_same_thread=False, isolation_level=None)
        except sqlite3.Error as error:
            raise _explain(error, str(path)) from None
        stack.callback(connection.close)
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        source = _SqliteSource(connection, str(path))
        # The first statement reads the header and, in a copy, brings the journal to an end.
        with source._translate_failures():
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield source


def _has_journal(path: Path) -> bool:
    return any(_size(Path(f"{path}{end}")) > 0 for end in ("-wal", "-journal"))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _copied(path: Path, folder: Path) -> Path:
    try:
        for end in ("", "-wal", "-journal"):
            if _size(Path(f"{path}{end}")):
                shutil.copyfile(f"{path}{end}", folder / f"{path.name}{end}")
    except OSError as error:
        what = f"{path} was not closed in order, and a copy of it to {folder.parent} failed: {error.strerror}"
        raise UntouchedError(what, "make room there, or set TMPDIR to a folder with more room") from None
    return folder / path.name


def _explain(error: sqlite3.Error, name: str) -> UntouchedError:
    text_ = str(error)
    if "not a database" in text_:
        return UntouchedError(f"{name} is not a SQLite database", "check the path (database.sqlite.path, or --from)")
    if "locked" in text_:
        return UntouchedError(f"{name} is locked by another process", "stop the server that uses it, then try again")
    if "malformed" in text_:
        return UntouchedError(
            f"{name} is damaged: {text_}",
            f"restore a backup, or rescue what is left: sqlite3 {name} .recover | sqlite3 NEW",
        )
    return UntouchedError(f"{name} cannot be read: {text_}", "check the file and the disk that it is on")


@asynccontextmanager
async def _postgres(config: DatabaseConfig) -> AsyncIterator[_PostgresSource]:
    from services.shared.db.database import create_engine

    where = f"PostgreSQL database {config.postgres.name} on {config.postgres.host}"
    engine = create_engine(config)
    try:
        try:
            connection = await engine.connect()
        except (OSError, DBAPIError) as error:
            reason = error.orig if isinstance(error, DBAPIError) else error
            what = f"{where} cannot be opened: {str(reason).strip() or type(reason).__name__}"
            missing = getattr(reason, "sqlstate", None) == _NO_SUCH_DATABASE
            kind = MissingDatabaseError if missing else UntouchedError
            raise kind(what, "check host, port, name, user and password") from None
        try:
            await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            await connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}s'"))
            yield _PostgresSource(connection, where)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) == _LOCKED:
                what = f"a table of {where} is locked by another client"
                raise UntouchedError(what, "stop Headscale, end what else changes its tables, then try again") from None
            what = f"{where} cannot be read: {str(error.orig).splitlines()[0]}"
            raise UntouchedError(what, "check the rights of this user: GRANT SELECT ON ALL TABLES") from None
        finally:
            await connection.close()
    finally:
        await engine.dispose()
