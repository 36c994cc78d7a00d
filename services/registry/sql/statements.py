"""Statements that are built once: SQLAlchemy spends longer on an upsert's clauses than SQLite on its row."""

from __future__ import annotations

from functools import lru_cache

from sqlalchemy import Insert, Table
from sqlalchemy.dialects import postgresql, sqlite


@lru_cache(maxsize=64)
def upsert(table: Table, key: tuple[str, ...], columns: tuple[str, ...], dialect: str, *, keep: bool) -> Insert:
    """Insert rows of these columns, or change those that are there (with `keep`: leave them)."""
    statement: postgresql.Insert | sqlite.Insert
    statement = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    if keep:
        return statement.on_conflict_do_nothing(index_elements=key)
    excluded = statement.excluded
    changed = {name: excluded[name] for name in columns if name not in key and name != "tailnet_id"}
    return statement.on_conflict_do_update(index_elements=key, set_=changed)
