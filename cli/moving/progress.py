"""Counters on the terminal during long work; no output where standard error is no terminal."""

from __future__ import annotations

import sys
import time

from cli.link.progress import watched

_STEP = 0.1


class RowCounter:
    """One line on standard error that shows what is done at the moment."""

    def __init__(self) -> None:
        self._watched = watched()
        self._next = 0.0
        self._shown = False

    def __call__(self, what: str, number: int) -> None:
        """Show a step and how many of its items are done."""
        now = time.monotonic()
        if self._watched and now >= self._next:
            self._next, self._shown = now + _STEP, True
            sys.stderr.write(f"\r\x1b[K{what}: {number}")
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._shown:
            self._shown = False
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
