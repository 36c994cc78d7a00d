"""The tables of auth on each database, empty at the start of each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncEngine

from services.auth.sql.tables import VERSION_TABLE, metadata
from services.auth.wiring import MIGRATIONS
from services.shared.config.model import DatabaseConfig, SqliteConfig
from services.shared.database import create_engine, migrate, write


def sqlite(folder: Path) -> DatabaseConfig:
    """A new SQLite database in a folder."""
    return DatabaseConfig(type="sqlite", sqlite=SqliteConfig(path=folder / "db.sqlite"))


@asynccontextmanager
async def migrated(config: DatabaseConfig) -> AsyncIterator[AsyncEngine]:
    """An engine over empty tables."""
    engine = create_engine(config)
    try:
        await migrate(engine, MIGRATIONS, VERSION_TABLE)
        async with write(engine) as connection:
            for table in metadata.sorted_tables:
                await connection.execute(delete(table))
        yield engine
    finally:
        await engine.dispose()
