"""The store on SQLAlchemy: SQLite and PostgreSQL alike. The only part of the registry that knows tables."""

from services.registry.sql.store import SqlStore as SqlStore
