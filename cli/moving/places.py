"""Where an import reads, and where it and a restore write: option, configuration, and the place beside Headscale's."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from cli.frame.errors import CommandError
from services.shared.config.model import Config, DatabaseConfig, PostgresConfig
from services.shared.db.contents import recognise
from services.shared.db.file import hold
from services.shared.db.place import BESIDE, beside, check, named, place_of
from services.shared.db.recognition import OUR_SERVICES, DatabaseVerdict, Kind
from services.shared.db.untouched import MissingDatabaseError, is_in_use
from services.shared.file_rights import unwritable_file

_DSN = ("postgres://", "postgresql://")


@dataclass(frozen=True, slots=True)
class Places:
    """The source of an import, and the configuration of the database to write."""

    source: DatabaseConfig
    target: Config
    target_exists: bool
    """True if our tables are there already."""
    neighbour: DatabaseConfig | None = None
    """The database of PostgreSQL beside which the target is made, which is missing; None if it is there."""


async def find(config: Config, given: str, *, preview: bool = False) -> Places:
    """Find source and target. For a preview either may be in use.

    Raises:
        CommandError: one of them is missing, or both are the same.
        RefusedDatabaseError: the target is not ours to write.
        UntouchedError: a database cannot be read.
    """
    configured = await recognise(config.database)
    if given:
        source = _from_option(given, config)
        target = config
        if configured.kind is Kind.HEADSCALE:
            target = _stand_in_for(config)
    elif configured.kind is Kind.HEADSCALE:
        source, target = config.database, _stand_in_for(config)
    else:
        raise CommandError(
            f"{named(config.database)} is not Headscale's: it is {_called(configured.kind)}",
            "name Headscale's database: headscale import --from FILE, or --from postgres://USER@HOST/NAME",
        )
    if _same(source, target.database):
        raise CommandError(f"{named(source)} would be source and target", f"name another database in {config.source}")
    stands_in = target.database != config.database
    neighbour = None
    try:
        found = await recognise(target.database)
    except MissingDatabaseError:
        if not stands_in:
            raise
        found, neighbour = DatabaseVerdict(Kind.EMPTY), config.database
    if not stands_in and found.kind is Kind.EMPTY:
        target = await place_of(target)
        found = await recognise(target.database)
    check(found, target.database)
    if not preview:
        _refuse_used(source, target)
    return Places(source, target, found.kind is Kind.OURS, neighbour)


async def find_for_restore(config: Config) -> tuple[Config, DatabaseConfig | None]:
    """Find the database that a backup is restored into; where Headscale's is configured, that is the one beside it.

    The second value is the database of PostgreSQL beside which it is to be made, because it is missing.

    Raises:
        CommandError: Headscale's database has the name of the one beside it.
        RefusedDatabaseError: it is another program's, or of a newer version.
        UntouchedError: a database cannot be read.
    """
    if (await recognise(config.database)).kind is not Kind.HEADSCALE:
        return await place_of(config), None
    target = _stand_in_for(config)
    try:
        check(await recognise(target.database), target.database)
    except MissingDatabaseError:
        return target, config.database
    return target, None


def _stand_in_for(config: Config) -> Config:
    if config.database.type == "sqlite" and config.database.sqlite.path.name == BESIDE:
        raise CommandError(
            f"{config.database.sqlite.path} is Headscale's", "rename it, or name another in the configuration"
        )
    return replace(config, database=beside(config.database))


def _from_option(given: str, config: Config) -> DatabaseConfig:
    if not given.startswith(_DSN):
        if "://" in given:
            raise CommandError("--from is neither a file nor a DSN", "write it like postgres://user@host:5432/name")
        return replace(config.database, type="sqlite", sqlite=replace(config.database.sqlite, path=Path(given)))
    return replace(config.database, type="postgres", postgres=_dsn(given, config.database))


def _dsn(given: str, known: DatabaseConfig) -> PostgresConfig:
    try:
        url = urlsplit(given)
        port = url.port or 5432
    except ValueError:
        raise CommandError("--from is no DSN", "write it like postgres://user@host:5432/name") from None
    options = {name: values[-1] for name, values in parse_qs(url.query).items()}
    host = options.get("host") or unquote(url.hostname or "") or "localhost"
    postgres = PostgresConfig(
        host=host,
        port=int(options.get("port") or port),
        name=unquote(url.path.lstrip("/")) or unquote(url.username or ""),
        user=unquote(url.username or options.get("user", "")),
        password=unquote(url.password or "") or os.environ.get("PGPASSWORD", ""),
        ssl=options.get("sslmode", "prefer" if not host.startswith("/") else "disable"),
    )
    if not postgres.password and known.type == "postgres" and known.postgres.host == postgres.host:
        postgres = replace(postgres, password=known.postgres.password, user=postgres.user or known.postgres.user)
    if not postgres.name:
        raise CommandError("--from names no database", "write it like postgres://user@host:5432/name")
    return postgres


def _same(source: DatabaseConfig, target: DatabaseConfig) -> bool:
    if source.type != target.type:
        return False
    if source.type == "postgres":
        one, other = source.postgres, target.postgres
        return (one.host, one.port, one.name) == (other.host, other.port, other.name)
    one_path, other_path = source.sqlite.path, target.sqlite.path
    return one_path.resolve() == other_path.resolve()


def _refuse_used(source: DatabaseConfig, target: Config) -> None:
    if source.type == "sqlite" and is_in_use(source.sqlite.path):
        raise CommandError(
            f"{source.sqlite.path} is in use by another process", "stop Headscale first: systemctl stop headscale"
        )
    refuse_running(target)


def refuse_running(target: Config) -> None:
    """Refuse to write below a running server, and where this process may not write.

    Raises:
        CommandError: one answers, or holds the database; or its file cannot be written.
    """
    if target.database.type == "sqlite" and (trouble := unwritable_file(target.database.sqlite.path)) is not None:
        raise CommandError(*trouble)
    if target.database.type == "sqlite" and is_in_use(target.database.sqlite.path):
        raise CommandError(
            f"{target.database.sqlite.path} is in use by another process",
            "stop the server first: systemctl stop headscale",
        )
    if answers(target.unix_socket):
        raise CommandError(
            f"a server is running: it answers at {target.unix_socket}", "stop it first: systemctl stop headscale"
        )


@contextmanager
def locked(target: Config) -> Iterator[None]:
    """Keep servers from starting on a SQLite database while it is written.

    Raises:
        DatabaseInUseError: one uses it.
    """
    if target.database.type != "sqlite":
        yield
        return
    with hold(target.database.sqlite.path, OUR_SERVICES):
        yield


def answers(path: Path) -> bool:
    """Return whether somebody accepts connections on a unix socket."""
    with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
        client.settimeout(1)
        client.connect(str(path))
        return True
    return False


def _called(kind: Kind) -> str:
    if kind is Kind.EMPTY:
        return "empty"
    return "smartscale's own" if kind in (Kind.OURS, Kind.NEWER) else "another program's"
