"""`headscale backup create|verify|restore` and `headscale db check`: declares them and prints what they did."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.frame.errors import CommandError
from cli.frame.output import emit, pasteable, table
from cli.frame.parser import Noun
from cli.link.place import database_in_use
from cli.link.remote import configuration

if TYPE_CHECKING:
    from cli.moving.backup import Summary


def declare(nouns: Any) -> None:
    """Add the nouns and their verbs."""
    noun = Noun(nouns, "backup", "Write, check and restore backups of everything that a server stores")
    create = noun.verb(
        "create", _create, "Write database and private keys into one file, while the server runs", (),
        "headscale backup create /backup/2026-11-30.backup",
    )  # fmt: skip
    verify = noun.verb(
        "verify", _verify, "Read a whole backup and compare its checksums", (),
        "headscale backup verify /backup/2026-11-30.backup",
    )  # fmt: skip
    restore = noun.verb(
        "restore", _restore, "Fill the configured database, SQLite or PostgreSQL, from a backup", (),
        "headscale -c new.yaml backup restore /backup/2026-11-30.backup",
    )  # fmt: skip
    for verb in (create, verify, restore):
        verb.add_argument("file", metavar="FILE", help="the backup")
    db = Noun(nouns, "db", "Check the database")
    db.verb("check", _check, "Check the database: pages, versions, records that contradict each other")


def _create(arguments: argparse.Namespace) -> None:
    import asyncio

    from cli.moving.backup import create
    from cli.moving.failures import command_errors
    from cli.moving.progress import RowCounter

    path = Path(arguments.file)
    if path.exists() and not arguments.force:
        raise CommandError(f"{path} exists", "name another file, or add --force to replace it")
    config = database_in_use(configuration(arguments))
    _need_database(config)
    counter = RowCounter()
    try:
        with command_errors():
            summary = asyncio.run(create(config, path, counter))
    finally:
        counter.clear()
    _show(arguments, summary, f"written to {path} ({path.stat().st_size} bytes); it holds private keys: keep it safe")


def _verify(arguments: argparse.Namespace) -> None:
    from cli.moving.backup import verify
    from cli.moving.progress import RowCounter

    counter = RowCounter()
    try:
        summary = verify(Path(arguments.file), counter)
    finally:
        counter.clear()
    _show(arguments, summary, f"{arguments.file} is whole: written {summary.created} by smartscale {summary.version}")


def _restore(arguments: argparse.Namespace) -> None:
    import asyncio

    from cli.moving.backup import restore
    from cli.moving.creating import create_database
    from cli.moving.failures import command_errors
    from cli.moving.places import find_for_restore, locked, refuse_running
    from cli.moving.progress import RowCounter

    counter = RowCounter()
    try:
        with command_errors():
            config, neighbour = asyncio.run(find_for_restore(configuration(arguments)))
            refuse_running(config)
            if neighbour is not None:
                asyncio.run(create_database(neighbour, config.database))
            with locked(config):
                work = restore(config, Path(arguments.file), force=arguments.force, progress=counter)
                summary = asyncio.run(work)
    finally:
        counter.clear()
    _show(arguments, summary, "restored; start the server: headscale serve. Clients come back by themselves")


def _check(arguments: argparse.Namespace) -> None:
    import asyncio

    from cli.moving.checking import check
    from cli.moving.failures import command_errors

    config = database_in_use(configuration(arguments))
    _need_database(config)
    with command_errors():
        faults = asyncio.run(check(config))
    if arguments.output:
        emit({"faults": faults}, arguments.output)
    if faults:
        raise CommandError("\n  ".join(("the database has faults:", *faults)), "restore a backup, or ask for help")
    if not arguments.output:
        print("ok")


def _need_database(config: Any) -> None:
    """Refuse a SQLite file that does not exist, because opening it would create an empty one."""
    file = config.database.sqlite.path
    if config.database.type == "sqlite" and not file.is_file():
        raise CommandError(f"no database at {file}", "the server makes it when it first starts: headscale serve")


def _show(arguments: argparse.Namespace, summary: Summary, sentence: str) -> None:
    if arguments.output:
        emit(
            {
                "version": summary.version,
                "created": summary.created,
                "tables": summary.rows,
                "keys": list(summary.keys),
            },
            arguments.output,
        )
        return
    table(["TABLE", "ROWS"], [[name, str(rows)] for name, rows in summary.rows.items() if rows])
    print(f"keys: {', '.join(summary.keys) or 'none'}")
    print(pasteable(sentence))
