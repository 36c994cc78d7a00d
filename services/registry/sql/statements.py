"""Prepared statements of the busiest paths: lock, position, log records, upserts."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from sqlalchemy import Table, bindparam, select, update

from services.registry.sql import tables
from services.shared.db.prepared import Prepared

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

_tailnets = tables.tailnets.c

POSITION = Prepared(select(_tailnets.seq).where(_tailnets.tailnet_id == bindparam("tailnet_id")))
LOCK = Prepared(select(_tailnets.seq).where(_tailnets.tailnet_id == bindparam("tailnet_id")).with_for_update())
ADVANCE = Prepared(
    update(tables.tailnets).where(_tailnets.tailnet_id == bindparam("tailnet")).values(seq=bindparam("position"))
)
RECORD = Prepared(tables.changes.insert())


def insert_into(table: Table, dialect: str) -> postgresql.Insert | sqlite.Insert:
    """Return an insertion that can be completed by what happens to rows that are there. Loads that dialect alone."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)


@lru_cache(maxsize=64)
def upsert(table: Table, key: tuple[str, ...], columns: tuple[str, ...], dialect: str, *, keep: bool) -> Prepared:
    """Insert rows of these columns, or change those that are there (with `keep`: leave them)."""
    statement = insert_into(table, dialect).values({name: bindparam(name) for name in columns})
    if keep:
        return Prepared(statement.on_conflict_do_nothing(index_elements=key))
    excluded = statement.excluded
    changed = {name: excluded[name] for name in columns if name not in key and name != "tailnet_id"}
    return Prepared(statement.on_conflict_do_update(index_elements=key, set_=changed))
