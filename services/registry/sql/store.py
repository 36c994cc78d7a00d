"""The store of one tailnet: opens transactions under its lock, and translates failures of the database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from services.registry.model.state import State
from services.registry.sql import tables
from services.registry.sql.log import SqlLog, translated
from services.registry.sql.statements import LOCK, insert_into
from services.registry.sql.transaction import SqlTransaction
from services.registry.store import Absence, FactCodec, GatewayRecord, Record
from services.shared.db import database
from services.shared.db.engine import AsyncEngine
from services.shared.ids import TailnetId

MIGRATIONS = Path(__file__).parent.parent / "migrations"
VERSION_TABLE = "registry_alembic_version"


class SqlStore:
    """The store of one tailnet."""

    def __init__(self, engine: AsyncEngine, tailnet: TailnetId, codec: FactCodec) -> None:
        self._engine = engine
        self._tailnet = tailnet
        self._codec = codec

    async def prepare(self) -> None:
        """Migrate the tables to the newest version and insert the tailnet's row.

        Raises:
            StoreUnavailableError: the database cannot be used.
        """
        with translated():
            await database.migrate(self._engine, MIGRATIONS, VERSION_TABLE)
            async with database.write(self._engine) as connection:
                await connection.execute(
                    insert_into(tables.tailnets, self._engine.dialect.name).on_conflict_do_nothing(
                        index_elements=["tailnet_id"]
                    ),
                    [{"tailnet_id": self._tailnet, "seq": 0}],
                )

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SqlTransaction]:
        """Begin, lock the tailnet's row, and commit at the end."""
        with translated():
            async with database.write(self._engine) as connection:
                position = await LOCK.value(connection, {"tailnet_id": self._tailnet})
                transaction = SqlTransaction(connection, self._tailnet, self._codec, position or 0)
                yield transaction
                await transaction.finish()

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[SqlLog]:
        with translated():
            async with database.read(self._engine) as connection:
                yield SqlLog(connection, self._tailnet)

    async def position(self) -> int:
        """Return the number of the newest change."""
        async with self._reading() as rows:
            return await rows.position()

    async def load(self) -> State:
        """Load the whole state, at one position."""
        with translated():
            async with database.read(self._engine) as connection:
                if connection.dialect.name == "postgresql":
                    connection = await connection.execution_options(isolation_level="REPEATABLE READ")
                return await SqlLog(connection, self._tailnet).load()

    async def records(self, after: int, limit: int) -> list[Record]:
        """Return the stored records after a position."""
        async with self._reading() as rows:
            return await rows.records(after, limit)

    async def absences(self) -> list[Absence]:
        """Return all absences, oldest first."""
        async with self._reading() as rows:
            return await rows.absences()

    async def gateways(self) -> list[GatewayRecord]:
        """Return all gateways, the one with the oldest beat first."""
        async with self._reading() as rows:
            return await rows.gateways()

    async def relays_heard(self) -> Mapping[str, datetime]:
        """Return the time of each relay's last announcement."""
        async with self._reading() as rows:
            return await rows.relays_heard()
