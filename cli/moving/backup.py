"""Writes a backup of a database that may be in use, and restores one into an empty database of either kind.

Creating reads one state of all tables in one transaction, which holds up no writer. Restoring is one transaction too:
tables are made as they were when the backup was written, rows are added, then the tables are brought up to date.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Integer,
    LargeBinary,
    Table,
    column,
    delete,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy import table as lightweight
from sqlalchemy.types import TypeEngine

from cli.frame.errors import CommandError
from cli.moving.archive import FORMAT, BackupReader, BackupWriter, Manifest
from cli.moving.schema import PARTS, ServiceTables, all_tables, numbered
from services.shared.build_info import built
from services.shared.config.model import Config
from services.shared.db.database import UtcDateTime, create_engine, read, upgrade_on, write
from services.shared.db.engine import AsyncConnection
from services.shared.db.file import give_to_owner
from services.shared.db.recognition import known_revisions

Progress = Callable[[str, int], None]

_PAGE = 1000
_TYPES: dict[str, Callable[[], TypeEngine[Any]]] = {
    "bytes": LargeBinary,
    "time": UtcDateTime,
    "json": JSON,
    "plain": TypeEngine,
}


@dataclass(frozen=True, slots=True)
class Summary:
    """The content written or read: number of rows of each table, and the names of keys."""

    rows: dict[str, int]
    keys: tuple[str, ...]
    version: str
    created: str


def key_files(config: Config) -> dict[str, Path]:
    """Return the private keys that a server needs to be the same to its clients."""
    return {
        "noise_private.key": config.noise.private_key_path,
        "derp_server_private.key": config.derp.server.private_key_path,
    }


async def create(config: Config, path: Path, progress: Progress) -> Summary:
    """Write a backup; the file is there when it is whole, with mode 0600.

    Raises:
        CommandError: the database has none of our tables, the folder does not exist, or keys cannot be read.
        OSError: the file cannot be written.
        DatabaseUnavailableError: the database cannot be read.
    """
    keys = {name: file.read_bytes() for name, file in key_files(config).items() if file.exists()}
    created = datetime.now(UTC).isoformat(timespec="seconds")
    manifest = Manifest(FORMAT, built().version, created, config.database.type, {})
    with _whole(path) as unfinished:
        archive = BackupWriter(unfinished, manifest)
        await _write_tables(config, archive, manifest, progress)
        for key, content in keys.items():
            archive.key(key, content)
        archive.close()
    return _summary(manifest)


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """Give a file with mode 0600 beside the wanted one, which takes its place at the end of the block."""
    folder = path.absolute().parent
    if not folder.is_dir():
        raise CommandError(f"the folder {folder} does not exist", f"make it: mkdir -m 700 {folder}")
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
    os.close(descriptor)
    unfinished = Path(name)
    try:
        yield unfinished
        with unfinished.open("rb") as written:
            os.fsync(written.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


async def _write_tables(config: Config, archive: BackupWriter, manifest: Manifest, progress: Progress) -> None:
    engine = create_engine(config.database)
    try:
        async with read(engine) as connection:
            if connection.dialect.name == "postgresql":
                await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            for part in PARTS:
                manifest.revisions[part.service] = await _revision(connection, part)
            present = await connection.run_sync(_present)
            for table in all_tables():
                if table.name not in present:
                    continue
                last_id = await _last_id(connection, table) if numbered(table) else 0
                columns = [one for one in table.columns if one.name in present[table.name]]
                writer = archive.table(table.name, [one.name for one in columns], _kinds(columns), last_id)
                async for rows in _pages(connection, table, columns):
                    writer.write(rows)
                    progress(f"writing {table.name}", writer.rows)
                writer.close()
    finally:
        await engine.dispose()


def verify(path: Path, progress: Progress) -> Summary:
    """Read a whole backup and compare every digest.

    Raises:
        CommandError: it is damaged, or of a newer version.
    """
    archive = BackupReader(path)
    try:
        for name in archive.manifest.tables:
            for number, _ in enumerate(archive.rows(name), 1):
                if number % _PAGE == 0:
                    progress(f"reading {name}", number)
        for key in archive.manifest.keys:
            archive.key(key)
        return _summary(archive.manifest)
    finally:
        archive.close()


async def restore(config: Config, path: Path, *, force: bool, progress: Progress) -> Summary:
    """Fill a database from a backup, and write the private keys.

    Raises:
        CommandError: the backup is damaged or of a newer version, or the database is not empty.
        DatabaseUnavailableError: the database cannot be written.
    """
    verify(path, progress)
    archive = BackupReader(path)
    made: list[Path] = []
    engine = create_engine(config.database)
    try:
        _check_revisions(archive.manifest)
        async with write(engine) as connection:
            await _refuse_rows(connection, force)
            await connection.run_sync(_rebuild, archive.manifest)
            for name in archive.manifest.tables:
                await _fill(connection, archive, name, progress)
            for part in PARTS:
                await connection.run_sync(upgrade_on, part.migrations, part.version_table)
            made.extend(_write_keys(config, archive, force))
    except BaseException:
        for file in made:
            file.unlink(missing_ok=True)
        raise
    finally:
        archive.close()
        await engine.dispose()
    return _summary(archive.manifest)


def _present(connection: Connection) -> dict[str, frozenset[str]]:
    """Return the columns of each table that is there: a database may be older than this program."""
    inspector = inspect(connection)
    names = set(inspector.get_table_names())
    return {
        table.name: frozenset(one["name"] for one in inspector.get_columns(table.name))
        for table in all_tables()
        if table.name in names
    }


async def _pages(
    connection: AsyncConnection, table: Table, columns: Sequence[Column[Any]]
) -> AsyncIterator[Sequence[Sequence[object]]]:
    order = list(table.primary_key.columns)
    start = 0
    while True:
        rows = (await connection.execute(select(*columns).order_by(*order).offset(start).limit(_PAGE))).all()
        if rows:
            yield rows
        if len(rows) < _PAGE:
            return
        start += _PAGE


def _kinds(columns: Sequence[Column[Any]]) -> list[str]:
    """Return for each column how its values are written."""
    kinds = ((JSON, "json"), (LargeBinary, "bytes"), (UtcDateTime, "time"))
    return [next((name for kind, name in kinds if isinstance(one.type, kind)), "plain") for one in columns]


async def _revision(connection: AsyncConnection, part: ServiceTables) -> str:
    found: str | None = await connection.scalar(
        select(column("version_num")).select_from(lightweight(part.version_table))
    )
    if found is None:
        raise CommandError(f"the tables of {part.service} have no version", "start the server once, then try again")
    return found


async def _last_id(connection: AsyncConnection, table: Table) -> int:
    """Return the greatest id that the database gave, which may be that of a row that is gone."""
    key = next(iter(table.primary_key.columns))
    known = [await connection.scalar(select(func.max(key))) or 0]
    if connection.dialect.name == "sqlite":
        remembered = text("SELECT seq FROM sqlite_sequence WHERE name = :name").bindparams(name=table.name)
        known.append(await connection.scalar(remembered) or 0)
    else:
        sequence = func.pg_sequence_last_value(func.pg_get_serial_sequence(table.name, key.name))
        known.append(await connection.scalar(select(sequence)) or 0)
    return max(known)


def _check_revisions(manifest: Manifest) -> None:
    for part in PARTS:
        revision = manifest.revisions.get(part.service, "")
        if revision not in known_revisions(part.service):
            raise CommandError(
                f"the backup was written by a newer smartscale ({manifest.version}): {part.service} {revision}",
                "restore it with that version",
            )


async def _refuse_rows(connection: AsyncConnection, force: bool) -> None:
    present = set(await connection.run_sync(lambda sync: sync.dialect.get_table_names(sync)))
    counted = ("registry_users", "registry_nodes", "auth_preauth_keys", "auth_api_keys")
    for table in all_tables():
        if table.name in present and table.name in counted and not force:
            number = await connection.scalar(select(func.count()).select_from(table))
            if number:
                raise CommandError(
                    f"the database is not empty: {table.name} has {number} rows; nothing was changed",
                    "add --force to replace everything in it, after a backup of its content",
                )


def _rebuild(connection: Any, manifest: Manifest) -> None:
    """Drop all tables and create them at the revisions of the backup."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    present = set(connection.dialect.get_table_names(connection))
    operations = Operations(MigrationContext.configure(connection))
    for part in PARTS:
        for name in (*(table.name for table in reversed(part.tables)), part.version_table):
            if name in present:
                operations.drop_table(name)
        upgrade_on(connection, part.migrations, part.version_table, manifest.revisions[part.service])
        for table in part.tables:
            if table.name in manifest.tables:
                connection.execute(delete(lightweight(table.name)))


async def _fill(connection: AsyncConnection, archive: BackupReader, name: str, progress: Progress) -> None:
    entry = archive.manifest.tables[name]
    target = lightweight(
        name, *(column(one, _TYPES[kind]()) for one, kind in zip(entry.columns, entry.kinds, strict=True))
    )
    part: list[dict[str, object]] = []
    for number, row in enumerate(archive.rows(name), 1):
        part.append(dict(zip(entry.columns, row, strict=True)))
        if len(part) == _PAGE:
            await connection.execute(target.insert(), part)
            part = []
            progress(f"restoring {name}", number)
    if part:
        await connection.execute(target.insert(), part)
    if entry.last_id:
        await _remember(connection, name, entry.columns[0], entry.last_id)


async def _remember(connection: AsyncConnection, name: str, key: str, last_id: int) -> None:
    """See that the database gives no id again."""
    if connection.dialect.name == "postgresql":
        sequence = func.pg_get_serial_sequence(name, key)
        await connection.execute(select(func.setval(sequence, last_id)))
        return
    sequences = lightweight("sqlite_sequence", column("name"), column("seq", Integer))
    await connection.execute(delete(sequences).where(sequences.c.name == name))
    await connection.execute(sequences.insert(), [{"name": name, "seq": last_id}])


def _write_keys(config: Config, archive: BackupReader, force: bool) -> list[Path]:
    """Write private keys to the paths of the configuration. An existing key must be equal."""
    made = []
    for name, path in key_files(config).items():
        if name not in archive.manifest.keys:
            continue
        content = archive.key(name)
        if path.exists() and path.read_bytes().strip() == content.strip():
            continue
        if path.exists() and not force:
            raise CommandError(
                f"{path} is another key than the backup's", "move it away, or add --force, which keeps it beside"
            )
        if path.exists():
            path.replace(path.with_name(f"{path.name}.before-restore"))
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            give_to_owner(descriptor, path.parent)
            file.write(content)
        made.append(path)
    return made


def _summary(manifest: Manifest) -> Summary:
    rows = {name: entry.rows for name, entry in manifest.tables.items()}
    return Summary(rows, tuple(manifest.keys), manifest.version, manifest.created)
