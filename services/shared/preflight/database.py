"""Whether the configured PostgreSQL answers and lets us in, and in which words it does not."""

from __future__ import annotations

import asyncio
import os
import socket

from services.shared.config.model import Config, PostgresConfig

_SECONDS = 5.0


def unanswered(config: Config) -> tuple[str, str, str] | None:
    """Key, reason and remedy where the database cannot be used; None where it can, and for SQLite."""
    if config.database.type != "postgres":
        return None
    return asyncio.run(_ask(config))


async def _ask(config: Config) -> tuple[str, str, str] | None:
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError

    from services.shared.db.database import create_engine

    engine = create_engine(config.database)
    try:
        async with asyncio.timeout(_SECONDS), engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except (OSError, DBAPIError) as error:  # a time-out is an OSError, too
        return refusal_of(config.database.postgres, error)
    finally:
        await engine.dispose()
    return None


def refusal_of(database: PostgresConfig, error: BaseException | None) -> tuple[str, str, str]:
    """Return key, reason and remedy for the error of a connection to PostgreSQL."""
    where = f"PostgreSQL at {database.host}:{database.port}"
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, TimeoutError):
        return "database.postgres.host", f"{where} does not answer", "start it, or correct host and port"
    if isinstance(cause, socket.gaierror):
        return "database.postgres.host", f"{database.host} cannot be resolved to an address", "correct the name"
    if isinstance(cause, OSError):
        reason = os.strerror(cause.errno).lower() if cause.errno else str(cause)
        return "database.postgres.host", f"{where} does not answer: {reason}", "start it, or correct host and port"
    return _answer_of(where, database, cause)


def _answer_of(where: str, database: PostgresConfig, cause: BaseException | None) -> tuple[str, str, str]:
    match str(getattr(cause, "sqlstate", "")):
        case "28P01":
            return "database.postgres.pass", f"{where} refuses the password of {database.user}", "correct the password"
        case "28000":
            what = f"{where} rejects the user {database.user}"
            return "database.postgres.user", what, "create that role, or allow it in pg_hba.conf"
        case "3D000":
            what = f"{where} has no database {database.name}"
            return "database.postgres.name", what, f"create it: createdb -O {database.user} {database.name}"
        case "53300":
            what, remedy = f"{where} has no free connection", "raise its max_connections, or end other clients of it"
            return "database.postgres.max_open_conns", what, remedy
    said = str(cause).splitlines()[0] if str(cause) else type(cause).__name__
    return "database.postgres", f"{where} refuses the connection: {said}", "correct host, user, password and name"
