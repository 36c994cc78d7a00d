"""Alembic's entry into the registry's migrations; the connection comes from `services.shared.db.database`."""

from services.shared.db.database import run_migrations

run_migrations()
