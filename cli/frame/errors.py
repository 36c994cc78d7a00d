"""What ends a command without success: a text for the person, and an exit status for their script."""

from __future__ import annotations


class CommandError(Exception):
    """The command did not do what was asked; `remedy` says what would."""

    def __init__(self, text: str, remedy: str = "", status: int = 1) -> None:
        super().__init__(text)
        self.remedy = remedy
        self.status = status
