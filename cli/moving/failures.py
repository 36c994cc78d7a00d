"""Failures of databases and files as one message with its remedy. No text of a statement or of a value is shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cli.frame.errors import CommandError

_CAUSES = (
    ("database or disk is full", "the disk is full", "make room, then run it again: nothing was changed"),
    ("No space left", "the disk is full", "make room, then run it again: nothing was changed"),
    ("database is locked", "another process uses the database", "stop the server, then run it again"),
    ("readonly database", "the database cannot be written", "check who owns the file, its folder and the disk"),
    ("unable to open", "the database cannot be opened", "check that its folder exists and belongs to this user"),
    ("not a database", "the file is not a SQLite database", "check its path"),
    ("malformed", "the database is damaged", "headscale db check says more; restore a backup"),
)


@contextmanager
def command_errors() -> Iterator[None]:
    """Turn failures of databases and files into `CommandError`.

    Raises:
        CommandError: something failed.
    """
    from sqlalchemy.exc import SQLAlchemyError

    from services.registry.model.errors import UnavailableError
    from services.shared.db.file import DatabaseInUseError
    from services.shared.db.place import RefusedDatabaseError
    from services.shared.db.untouched import UntouchedError

    try:
        yield
    except (RefusedDatabaseError, UntouchedError, DatabaseInUseError) as error:
        raise CommandError(error.what, error.remedy) from None
    except (SQLAlchemyError, UnavailableError, OSError) as error:
        raise explain(error) from None


def explain(error: BaseException) -> CommandError:
    """Return the message for a failure."""
    cause = _innermost(error)
    text = str(cause)
    for mark, what, remedy in _CAUSES:
        if mark in text:
            return CommandError(what, remedy)
    if isinstance(cause, OSError) and cause.filename:
        return CommandError(f"{cause.filename}: {cause.strerror}", "check the path and its permissions")
    shown = text.splitlines()[0] if text else type(cause).__name__
    return CommandError(f"the database cannot be used: {shown}", "headscale configtest checks the configuration")


def _innermost(error: BaseException) -> BaseException:
    while True:
        below = getattr(error, "orig", None) or error.__cause__
        if not isinstance(below, BaseException):
            return error
        error = below
