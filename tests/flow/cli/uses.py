"""How a use of a command is written down.

Words in braces are made afresh for each use (see `World.fill`); `~` stands for a blank in a word.
"""

from __future__ import annotations

from typing import NamedTuple


class Use(NamedTuple):
    """A command, and what it does."""

    words: str
    says: str = ""
    """Is in the standard output; of a wrong use, in the standard error."""
    changes: bool = False
    status: int = 0
    beside: str = ""
    """What must be there for it, as a placeholder of `World.fill`."""


def wrong(words: str, says: str, status: int = 1) -> Use:
    """A use that is refused."""
    return Use(words, says, False, status)


def misuse(words: str, says: str) -> Use:
    """A use that is refused before any server is asked."""
    return Use(words, says, False, 2)


SHELLS = ("bash", "zsh", "fish", "powershell")
AUTH_ID = "hskey-authreq-ffffffffffffffffffffffff"

LOCAL = frozenset(
    ("version", "configtest", "backup create", "backup verify", "backup restore", "db check",
     "generate private-key", "generate config", "dumpConfig", "help", "man",
     "mockoidc", "serve",
     *(f"completion {shell}" for shell in SHELLS))
)  # fmt: skip
"""Commands that ask no server."""
