"""A policy version: an accepted text with its author, time and reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

NO_POLICY_ETAG = "ts-default"
"""What stands for the etag while no policy was ever set; `/api/v2` clients know this word."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A text that passed all checks and is about to be accepted."""

    text: str
    compiled: bytes
    author: str
    reason: str
    created_at: datetime

    @property
    def etag(self) -> str:
        """Hex SHA-256 of the text."""
        return etag_of(self.text)


@dataclass(frozen=True, slots=True)
class Version:
    """An accepted policy."""

    number: int
    """1, 2, 3, … per tailnet."""
    author: str
    reason: str
    created_at: datetime
    etag: str
    text: str
    """As it was given, comments included; empty in lists."""


@dataclass(frozen=True, slots=True)
class InForce:
    """The compiled form in force."""

    seq: int
    """Where in the change log it came into force; 0 when nothing was ever recorded."""
    compiled: bytes
    number: int
    """The version that it came from; 0 when from none."""


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of the change log, as it travels."""

    seq: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Records:
    """What a reader of the log is given."""

    records: tuple[Record, ...]
    reset: bool
    """The records after the reader's position are gone, or its position lies ahead: it must start from `InForce`."""
    last: int


def etag_of(text: str) -> str:
    """Hex SHA-256 of a text."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
