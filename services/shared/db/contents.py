"""Reading of the facts that `recognition` judges: names of tables, versions, and counts of rows."""

from __future__ import annotations

import contextlib
from pathlib import Path

from services.shared.config.model import DatabaseConfig, SqliteConfig
from services.shared.db.recognition import OUR_SERVICES, Contents, DatabaseVerdict, Kind, judge
from services.shared.db.revisions import MADE_BY
from services.shared.db.untouched import ForeignDatabase, UntouchedError, open_untouched


async def recognise(config: DatabaseConfig) -> DatabaseVerdict:
    """Return the verdict on the configured database, without writing anything.

    Raises:
        UntouchedError: it cannot be reached or read.
    """
    if config.type == "sqlite" and not _has_bytes(config.sqlite):
        return DatabaseVerdict(Kind.EMPTY)
    # A server of ours that runs or was killed has a journal, which is read from a copy. Its file alone says enough.
    with contextlib.suppress(UntouchedError):
        async with open_untouched(config, journal=False) as source:
            found = judge(await contents_of(source))
        if found.kind is Kind.NEWER or (found.kind is Kind.OURS and found.used):
            return found
    async with open_untouched(config) as source:
        return judge(await contents_of(source))


async def contents_of(source: ForeignDatabase) -> Contents:
    """Read the facts by which a database is recognised."""
    tables = await source.tables()
    devices = "nodes" if "nodes" in tables else "machines"
    return Contents(
        tables=tables,
        migrations=await _texts(source, tables, "migrations"),
        stamp=await _stamp(source, tables),
        revisions=await _revisions(source, tables),
        made_by=await _made_by(source, tables),
        our_ids=await _ids(source, tables),
        users=await _count(source, tables, "users"),
        nodes=await _count(source, tables, devices),
    )


async def _count(source: ForeignDatabase, tables: dict[str, frozenset[str]], table: str) -> int:
    if table not in tables:
        return 0
    living = " WHERE deleted_at IS NULL" if "deleted_at" in tables[table] else ""
    try:
        value = await source.value(f'SELECT count(*) FROM "{table}"{living}')
    except UntouchedError:  # a damaged page; what can be read of the table is found when its rows are
        return 0
    return value if isinstance(value, int) else 0


async def _ids(source: ForeignDatabase, tables: dict[str, frozenset[str]]) -> int:
    if "registry_counters" not in tables:
        return 0
    given = await source.value("SELECT max(last) FROM registry_counters")
    return given if isinstance(given, int) else 0


async def _texts(source: ForeignDatabase, tables: dict[str, frozenset[str]], table: str) -> tuple[str, ...]:
    if tables.get(table) != frozenset({"id"}):
        return ()
    return tuple([str(row["id"]) async for row in source.rows(table, "id")])


async def _stamp(source: ForeignDatabase, tables: dict[str, frozenset[str]]) -> str:
    if "version" not in tables.get("database_versions", ()):
        return ""
    found = await source.value("SELECT version FROM database_versions ORDER BY id DESC LIMIT 1")
    return found if isinstance(found, str) else ""


async def _revisions(source: ForeignDatabase, tables: dict[str, frozenset[str]]) -> dict[str, str]:
    found = {}
    for service in OUR_SERVICES:
        if f"{service}_alembic_version" in tables:
            value = await source.value(f"SELECT version_num FROM {service}_alembic_version")
            if isinstance(value, str):
                found[service] = value
    return found


async def _made_by(source: ForeignDatabase, tables: dict[str, frozenset[str]]) -> dict[str, str]:
    found = {}
    for service in OUR_SERVICES:
        if "version" in tables.get(f"{service}{MADE_BY}", ()):
            value = await source.value(f"SELECT version FROM {service}{MADE_BY}")
            if isinstance(value, str):
                found[service] = value
    return found


def _has_bytes(config: SqliteConfig) -> bool:
    """Return whether there is a file with something in it, or a journal that has not been folded into it yet."""
    return any(_size(f"{config.path}{end}") for end in ("", "-wal"))


def _size(name: str) -> int:
    path = Path(name)
    return path.stat().st_size if path.exists() else 0
