"""The list of all our tables by service, for backups and checks. Describes none itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Table

from services.auth import importing as auth
from services.policy.sql import tables as policy_tables
from services.policy.wiring import MIGRATIONS as POLICY_MIGRATIONS
from services.registry.sql import tables as registry_tables
from services.registry.sql.store import MIGRATIONS as REGISTRY_MIGRATIONS
from services.registry.sql.store import VERSION_TABLE as REGISTRY_VERSIONS


@dataclass(frozen=True, slots=True)
class ServiceTables:
    """The tables of one service."""

    service: str
    migrations: Path
    version_table: str
    tables: tuple[Table, ...]


PARTS = (
    ServiceTables("registry", REGISTRY_MIGRATIONS, REGISTRY_VERSIONS, tuple(registry_tables.metadata.sorted_tables)),
    ServiceTables(
        "policy", POLICY_MIGRATIONS, policy_tables.VERSION_TABLE, tuple(policy_tables.metadata.sorted_tables)
    ),
    ServiceTables("auth", auth.MIGRATIONS, auth.VERSION_TABLE, auth.TABLES),
)


def all_tables() -> Iterator[Table]:
    """Give every table of every service."""
    for part in PARTS:
        yield from part.tables


def numbered(table: Table) -> bool:
    """Return whether the database gives the ids of a table."""
    key = list(table.primary_key.columns)
    return len(key) == 1 and key[0].name in ("id", "number") and key[0].autoincrement is not False
