"""Implements the store on SQLAlchemy, for SQLite and PostgreSQL. The only part of the registry that knows tables."""

from services.registry.sql.store import SqlStore as SqlStore
