"""Checks that the configured PostgreSQL answers and accepts our login. Queries nothing but its version."""

from __future__ import annotations

import asyncio

from services.shared.config.model import Config

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

    chosen, engine = config.database.postgres, create_engine(config.database)
    where = f"{chosen.host}:{chosen.port}"
    try:
        async with asyncio.timeout(_SECONDS), engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    except TimeoutError:
        return "database.postgres.host", f"{where} does not answer within {_SECONDS:.0f} seconds", "start it"
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return "database.postgres.host", f"{where} does not answer: {reason}", "start it, or correct host and port"
    except DBAPIError as error:
        reason = str(error.orig).partition(": ")[2] or type(error.orig).__name__
        remedy = "correct user, password and name, or let them in"
        return "database.postgres", f"{where} refuses us: {reason}", remedy
    finally:
        await engine.dispose()
    return None
