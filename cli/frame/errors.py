"""The failure of a command: a text for people, a remedy, and an exit status for scripts."""

from __future__ import annotations


class CommandError(Exception):
    """The command failed; `remedy` is what to do about it, `status` the exit status."""

    def __init__(self, text: str, remedy: str = "", status: int = 1) -> None:
        super().__init__(text)
        self.remedy = remedy
        self.status = status
