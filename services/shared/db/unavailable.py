"""The error for an unreachable database. Separate from `database`, so that RPC code need not load SQLAlchemy."""

from __future__ import annotations


class DatabaseUnavailableError(OSError):
    """The database is unreachable or refuses access; the text has the reason, without values of a statement."""
