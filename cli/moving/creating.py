"""Makes the PostgreSQL database that stands in for Headscale's, beside it on the same server. Touches no table."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from cli.frame.errors import CommandError
from services.shared.config.model import DatabaseConfig
from services.shared.db.database import create_engine
from services.shared.db.place import named

_NOT_ALLOWED = "42501"
_EXISTS = "42P04"
"""SQLSTATEs `insufficient_privilege` and `duplicate_database`."""


async def create_database(neighbour: DatabaseConfig, wanted: DatabaseConfig) -> None:
    """Make a database on the server of another one; nothing happens if it exists.

    Raises:
        CommandError: the user may not make databases.
        DBAPIError: the server cannot do it for another reason.
    """
    engine = create_engine(neighbour)
    name, user = wanted.postgres.name, wanted.postgres.user
    try:
        async with engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text(f"CREATE DATABASE {engine.dialect.identifier_preparer.quote(name)}"))
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None)
        if state == _NOT_ALLOWED:
            raise CommandError(
                f"{named(wanted)} does not exist, and the user {user} may not make databases",
                f"make it: sudo -u postgres createdb --owner={user} {name}; then run this again",
            ) from None
        if state != _EXISTS:
            raise
    finally:
        await engine.dispose()
