"""The tables of auth on each database, empty at the start of each test, and what goes into them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncEngine

from services.auth.model.login import Login, new_auth_id
from services.auth.model.oidc.flow import SignInFlow, new_flow_id
from services.auth.sql.tables import VERSION_TABLE, metadata
from services.auth.wiring import MIGRATIONS
from services.shared.config.model import DatabaseConfig, SqliteConfig
from services.shared.db.database import create_engine, migrate, write
from services.shared.keys import MachineKey, NodeKey

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


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


def machine(number: int) -> MachineKey:
    """A machine key by number."""
    return MachineKey(number.to_bytes(32, "big"))


def node(number: int) -> NodeKey:
    """A node key by number."""
    return NodeKey(number.to_bytes(32, "big"))


def new_login(number: int, at: datetime = NOW, node_number: int | None = None) -> Login:
    """A login that waits."""
    return Login(
        auth_id=new_auth_id(number.to_bytes(2, "big") + (node_number or 0).to_bytes(10, "big")),
        machine_key=machine(number),
        node_key=node(node_number if node_number is not None else 1000 + number),
        old_node_key=NodeKey.zero(),
        hostinfo=b'{"Hostname":"n\xc3\xbc"}',
        hostname="nü",
        os="linux",
        tags=("tag:a",),
        version=113,
        ephemeral=True,
        remote_address="192.0.2.1",
        created_at=at,
        expires_at=at + timedelta(minutes=15),
        wanted_expiry=at + timedelta(days=3),
    )


def new_flow(number: int, login: int = 1, at: datetime = NOW) -> SignInFlow:
    """A sign-in that has begun."""
    return SignInFlow(
        flow_id=new_flow_id(at, number.to_bytes(8, "big")),
        auth_id=new_auth_id(login.to_bytes(12, "big")),
        state_hash="s" * 64,
        browser_hash="b" * 64,
        created_at=at,
        expires_at=at + timedelta(minutes=15),
    )
