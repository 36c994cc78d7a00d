"""Prepared statements of the busiest paths: lock, position, log records, upserts."""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from services.registry.sql import tables
from services.shared.db.prepared import Prepared

_tailnets = tables.tailnets.c

POSITION = Prepared(select(_tailnets.seq).where(_tailnets.tailnet_id == bindparam("tailnet_id")))
LOCK = Prepared(select(_tailnets.seq).where(_tailnets.tailnet_id == bindparam("tailnet_id")).with_for_update())
ADVANCE = Prepared(
    update(tables.tailnets).where(_tailnets.tailnet_id == bindparam("tailnet")).values(seq=bindparam("position"))
)
RECORD = Prepared(tables.changes.insert())


@lru_cache(maxsize=64)
def upsert(table: Table, key: tuple[str, ...], columns: tuple[str, ...], dialect: str, *, keep: bool) -> Prepared:
    """Return a statement that inserts rows of these columns and updates existing ones (with `keep`: leaves them)."""
    statement: postgresql.Insert | sqlite.Insert
    statement = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    statement = statement.values({name: bindparam(name) for name in columns})
    if keep:
        return Prepared(statement.on_conflict_do_nothing(index_elements=key))
    excluded = statement.excluded
    changed = {name: excluded[name] for name in columns if name not in key and name != "tailnet_id"}
    return Prepared(statement.on_conflict_do_update(index_elements=key, set_=changed))
