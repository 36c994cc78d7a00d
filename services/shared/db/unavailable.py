"""That something we depend on is not there. Apart from `database`, so that who only answers calls need not load it."""

from __future__ import annotations


class DatabaseAwayError(OSError):
    """The database refuses us or does not answer; the text says why, without any value of a statement."""
