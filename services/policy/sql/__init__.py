"""The store on SQLAlchemy: SQLite and PostgreSQL alike. The only part of the service that knows tables."""

from services.policy.sql.store import SqlStore as SqlStore
