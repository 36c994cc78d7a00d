"""The store on SQLAlchemy, for SQLite and PostgreSQL. The only part of the service that knows tables."""

from services.policy.sql.store import SqlStore as SqlStore
