"""Alembic's entry: runs inside the transaction that the service opened."""

from services.shared.db.database import run_migrations

run_migrations()
