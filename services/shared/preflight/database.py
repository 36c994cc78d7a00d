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
            if await connection.scalar(text("SHOW transaction_read_only")) == "on":
                return read_only(config.database.postgres)
    except (OSError, DBAPIError) as error:  # a time-out is an OSError, too
        return refusal_of(config.database.postgres, error)
    finally:
        await engine.dispose()
    return None


def read_only(database: PostgresConfig) -> tuple[str, str, str]:
    """Return key, reason and remedy for a PostgreSQL in which nothing can be written."""
    what = f"PostgreSQL at {_where(database)} is read-only, as a standby is"
    return "database.postgres.host", what, "name the primary, or turn default_transaction_read_only off"


def refusal_of(database: PostgresConfig, error: BaseException | None) -> tuple[str, str, str]:
    """Return key, reason and remedy for the error of a connection to PostgreSQL."""
    where = f"PostgreSQL at {_where(database)}"
    cause = getattr(error, "orig", None) or error
    if isinstance(cause, TimeoutError):
        return "database.postgres.host", f"{where} does not answer", "start it, or correct host and port"
    if isinstance(cause, socket.gaierror):
        return "database.postgres.host", f"{database.host} cannot be resolved to an address", "correct the name"
    if isinstance(cause, OSError):
        reason = os.strerror(cause.errno).lower() if cause.errno else str(cause)
        return "database.postgres.host", f"{where} does not answer: {reason}", "start it, or correct host and port"
    return _answer_of(where, database, cause)


def _where(database: PostgresConfig) -> str:
    return database.host if database.host.startswith("/") else f"{database.host}:{database.port}"


def _answer_of(where: str, database: PostgresConfig, cause: BaseException | None) -> tuple[str, str, str]:
    match str(getattr(cause, "sqlstate", "")):
        case "28P01":
            return "database.postgres.pass", f"{where} refuses the password of {database.user}", "correct the password"
        case "28000" if "pg_hba" in str(cause):
            what = f"{where} does not admit the user {database.user} from this host"
            return "database.postgres.user", what, "add a line for them to its pg_hba.conf"
        case "28000":
            what = f"{where} has no user {database.user}"
            return "database.postgres.user", what, f"create it: createuser -P {database.user}"
        case "3D000":
            what = f"{where} has no database {database.name}"
            return "database.postgres.name", what, f"create it: createdb -O {database.user} {database.name}"
        case "53300":
            what, remedy = f"{where} has no free connection", "raise its max_connections, or end other clients of it"
            return "database.postgres.max_open_conns", what, remedy
        case "25006":
            return read_only(database)
        case "42501":
            what = f"{where} denies a right to the user {database.user}: {_first_line(cause)}"
            remedy = f"make it the owner: ALTER DATABASE {database.name} OWNER TO {database.user}"
            return "database.postgres.user", what, remedy
        case "53100":
            return "database.postgres.host", f"the disk of {where} is full", "free space on it"
    return "database.postgres", f"{where} answers with an error: {_first_line(cause)}", "read the log of PostgreSQL"


def _first_line(cause: BaseException | None) -> str:
    return str(cause).splitlines()[0] if str(cause) else type(cause).__name__
