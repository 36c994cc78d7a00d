"""The version of a service's tables, compared with the newest, without loading the migration engine.

The engine takes tens of megabytes of memory that a server with current tables saves.
"""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, String, Table, column, delete, insert, inspect, select, table

from services.shared.build_info import UNKNOWN, built

_REVISION = re.compile(r"^revision\b[^=]*=\s*[\"']([^\"']+)[\"']", re.MULTILINE)
MADE_BY = "_made_by"
"""Suffix of the table with the program's version that brought a service's tables to their revision."""
_VERSIONS = "_alembic_version"
_PARENT = re.compile(r"^down_revision\b[^=]*=\s*[\"']([^\"']+)[\"']", re.MULTILINE)


def newest(package_dir: Path) -> str | None:
    """Return the newest revision of the migration scripts; None if it is ambiguous."""
    scripts = [path.read_text() for path in (package_dir / "versions").glob("[!_]*.py")]
    revisions = {found[1] for script in scripts if (found := _REVISION.search(script))}
    parents = {found[1] for script in scripts if (found := _PARENT.search(script))}
    heads = revisions - parents
    return heads.pop() if len(heads) == 1 and len(revisions) == len(scripts) else None


def is_current(connection: Connection, package_dir: Path, version_table: str) -> bool:
    """Return whether the version table names the newest revision and nothing else."""
    head = newest(package_dir)
    if head is None or not inspect(connection).has_table(version_table):
        return False
    found = connection.scalars(select(column("version_num", String)).select_from(table(version_table))).all()
    return list(found) == [head]


def made_by_table(version_table: str) -> str:
    """Return the name of the table with the version of the program, beside a service's version table."""
    return version_table.removesuffix(_VERSIONS) + MADE_BY


def record_program(connection: Connection, version_table: str) -> None:
    """Store which version of this program brought the tables to their revision, for refusals by older ones."""
    recorded = Table(made_by_table(version_table), MetaData(), Column("version", String(200), nullable=False))
    recorded.create(connection, checkfirst=True)
    connection.execute(delete(recorded))
    connection.execute(insert(recorded), {"version": this_program()})


def this_program() -> str:
    """Return this program's version, with its commit where that is known."""
    made = built()
    return made.version if made.commit == UNKNOWN else f"{made.version}, commit {made.commit}"
