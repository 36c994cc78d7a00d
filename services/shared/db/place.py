"""The choice of the database that a server uses, made before anything is written.

A configuration of Headscale names Headscale's database. That one is never written: what is imported from it goes into
`smartscale.sqlite` beside it, or on PostgreSQL into the database `NAME_smartscale` of the same server, and from then on
the same configuration means that one. So the old server can be started again at any time.
"""

from __future__ import annotations

from dataclasses import replace

from services.shared.config.model import Config, DatabaseConfig
from services.shared.db.contents import recognise
from services.shared.db.recognition import DatabaseVerdict, Kind
from services.shared.db.untouched import MissingDatabaseError, UntouchedError

BESIDE = "smartscale.sqlite"
_SUFFIX = "_smartscale"
_MOST_NAME = 63
"""Bytes of a name in PostgreSQL, which cuts longer ones without a word (NAMEDATALEN - 1)."""


def key_of(database: DatabaseConfig) -> str:
    """Return the key that names a database in the configuration."""
    return "database.postgres.name" if database.type == "postgres" else "database.sqlite.path"


class RefusedDatabaseError(Exception):
    """The configured database is not ours to use; `remedy` says what to type."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what}; {remedy}")
        self.what = what
        self.remedy = remedy


def named(database: DatabaseConfig) -> str:
    """Return how a database is called in messages."""
    if database.type == "postgres":
        return f"PostgreSQL database {database.postgres.name} on {database.postgres.host}"
    return str(database.sqlite.path)


def beside(database: DatabaseConfig) -> DatabaseConfig:
    """Return the database that stands in for the configured one of Headscale."""
    if database.type == "postgres":
        name = database.postgres.name.encode()[: _MOST_NAME - len(_SUFFIX)].decode(errors="ignore") + _SUFFIX
        return replace(database, postgres=replace(database.postgres, name=name))
    return replace(database, sqlite=replace(database.sqlite, path=database.sqlite.path.with_name(BESIDE)))


async def place_of(config: Config) -> Config:
    """Return the configuration with the database that the server uses.

    Raises:
        RefusedDatabaseError: it is Headscale's and not imported yet, another program's, or of a newer version.
    """
    found = await _recognised(config.database)
    if found.kind is Kind.OURS:
        return config
    if found.kind is Kind.HEADSCALE or (config.database.type == "sqlite" and found.kind is Kind.EMPTY):
        other = beside(config.database)
        second = await _recognised_beside(other) if other != config.database else DatabaseVerdict(Kind.EMPTY)
        # An import that was refused or killed leaves tables without any row, which must not stand in for a tailnet.
        if second.kind is Kind.NEWER or (
            second.kind is Kind.OURS and (second.used or not (found.users or found.nodes))
        ):
            check(second, other)
            return replace(config, database=other)
    check(found, config.database)
    return config


def check(found: DatabaseVerdict, database: DatabaseConfig) -> None:
    """Refuse a database that is neither ours nor empty.

    Raises:
        RefusedDatabaseError: it is something else.
    """
    name = named(database)
    if found.kind is Kind.HEADSCALE:
        raise RefusedDatabaseError(
            f"{name} is the database of Headscale {found.release} with {_many(found.users, 'user')} and "
            f"{_many(found.nodes, 'node')}{', but ' + found.fault if found.fault else ''}",
            _how_to_import(database),
        )
    if found.kind is Kind.NEWER:
        version = f" ({found.release})" if found.release else ""
        raise RefusedDatabaseError(
            f"{name} was made by a newer smartscale{version}: {found.detail}",
            f"install that version again; {_how_to_go_back(database)}",
        )
    if found.kind is Kind.OTHER:
        raise RefusedDatabaseError(
            f"{name} belongs to another program: its tables are {found.detail}",
            f"name another database in {key_of(database)}; this one was not changed",
        )


def _how_to_import(database: DatabaseConfig) -> str:
    old = "database" if database.type == "postgres" else "file"
    return (
        f"run `headscale import` to take it over into {named(beside(database))}; "
        f"the old {old} stays as it is; to go back, start Headscale again"
    )


def _how_to_go_back(database: DatabaseConfig) -> str:
    if database.type == "postgres":
        aside = "name a new database in the configuration"
    else:
        aside = f"put it aside (mv {database.sqlite.path} {database.sqlite.path}.newer)"
    return f"a downgrade needs a backup that this version made: {aside}, then headscale backup restore FILE"


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


async def _recognised_beside(database: DatabaseConfig) -> DatabaseVerdict:
    """Return the verdict on a database that stands in for Headscale's; one that does not exist is empty."""
    try:
        return await recognise(database)
    except MissingDatabaseError:
        return DatabaseVerdict(Kind.EMPTY)
    except UntouchedError as error:
        raise RefusedDatabaseError(error.what, error.remedy) from None


async def _recognised(database: DatabaseConfig) -> DatabaseVerdict:
    try:
        return await recognise(database)
    except UntouchedError as error:
        raise RefusedDatabaseError(error.what, error.remedy) from None
