"""Alembic's entry into the registry's migrations; the connection comes from `services.shared.database`."""

from services.shared.database import run_migrations

run_migrations()
