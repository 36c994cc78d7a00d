"""The store of the registry of each kind, empty, and the clock and codec of its suites."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.registry.change_codec import ProtoFactCodec
from services.registry.sql import SqlStore
from services.registry.store import Store
from services.shared.config.model import DatabaseConfig, SqliteConfig
from services.shared.db.database import create_engine
from services.shared.ids import DEFAULT_TAILNET, TailnetId
from tests.fakes.registry_store import FakeRegistryStore

NOW = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
CODEC = ProtoFactCodec(DEFAULT_TAILNET)


@asynccontextmanager
async def opened(kind: str, request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Store]:
    """An empty store of a kind: `fake`, `sqlite` or `postgres`."""
    if kind == "fake":
        yield FakeRegistryStore(CODEC)
        return
    config = DatabaseConfig(type="sqlite", sqlite=SqliteConfig(path=folder / "db.sqlite"))
    if kind == "postgres":
        config = request.getfixturevalue("server")
    engine = create_engine(config)
    # A tailnet of its own for each test: one server serves them all, and no tailnet may see another's rows.
    real = SqlStore(engine, TailnetId(f"t-{request.node.name}"), CODEC)
    try:
        await real.prepare()
        yield real
    finally:
        await engine.dispose()
