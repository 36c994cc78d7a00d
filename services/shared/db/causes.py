"""Error texts with a remedy for an unusable database, from its driver's error. Never contains a statement's values."""

from __future__ import annotations

import sqlite3

_SQLITE = (
    ("database or disk is full", "the disk of {name} is full: free space on it"),
    ("disk I/O", "the disk of {name} fails: see the kernel's log, and take a backup"),
    (
        "attempt to write a readonly",
        "{name} may not be written: check the owner and mode of the file and of its folder",
    ),
    ("unable to open", "{name} cannot be opened: check owner and mode of the file and its folder"),
    ("database is locked", "{name} is locked by another process: end whatever else has it open"),
    ("database disk image is malformed", "{name} is damaged: stop the server, and restore a backup"),
    ("file is not a database", "{name} is damaged or is not a SQLite database: restore a backup"),
)
"""Prefixes of SQLite's messages. SQLite reports wrong statements by the same class; those are not listed."""

_POSTGRES = {
    "53100": "the disk of PostgreSQL is full: free space on it",
    "53200": "PostgreSQL has no memory left: give it more, or lower its work_mem",
    "53300": "PostgreSQL has no connection free: raise its max_connections, or lower database.postgres.max_open_conns",
    "25006": "PostgreSQL is read-only, as a standby is: point database.postgres.host at the primary",
    "28P01": "PostgreSQL refuses the password of database.postgres: correct database.postgres.pass",
    "28000": "PostgreSQL refuses the user of database.postgres: create that role, or allow it in pg_hba.conf",
    "3D000": "PostgreSQL has no database of the name in database.postgres.name: create it with createdb",
    "42501": "PostgreSQL denies a right to the user of database.postgres: make it the owner of the database",
    "57P01": "PostgreSQL was stopped: start it",
    "57P02": "PostgreSQL crashed: read its log",
    "57P03": "PostgreSQL is starting or stopping: try again",
    "XX001": "the data of PostgreSQL is damaged: restore a backup",
}
"""Error texts by PostgreSQL's SQLSTATE."""


def cause_of(error: BaseException | None, name: str) -> str | None:
    """Return why the database `name` is unusable; None if the statement is at fault."""
    if isinstance(error, sqlite3.Error):
        text = str(error)
        return next((words.format(name=name) for begin, words in _SQLITE if text.startswith(begin)), None)
    words = _POSTGRES.get(str(getattr(error, "sqlstate", None) or ""))
    return words or f"the database failed: {type(error).__name__}"
