"""The version of a service's tables, compared with the newest, without loading the migration engine.

The engine takes tens of megabytes of memory that a server with current tables saves.
"""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy import Connection, String, column, inspect, select, table

_REVISION = re.compile(r"^revision\b[^=]*=\s*[\"']([^\"']+)[\"']", re.MULTILINE)
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
