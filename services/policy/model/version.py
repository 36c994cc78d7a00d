"""A policy version: an accepted text with its author, time and reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

NO_POLICY_ETAG = "ts-default"
"""The etag while no policy was ever set, as `/api/v2` clients expect it."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A checked policy that is not stored yet."""

    text: str
    compiled: bytes
    author: str
    reason: str
    created_at: datetime

    @property
    def etag(self) -> str:
        """Return the hex SHA-256 of the text."""
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
    """Position in the change log at which it came into force; 0 if the log is empty."""
    compiled: bytes
    number: int
    """The version that it was compiled from; 0 if none."""


@dataclass(frozen=True, slots=True)
class Record:
    """An encoded entry of the change log."""

    seq: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Records:
    """A part of the change log."""

    records: tuple[Record, ...]
    reset: bool
    """The records after the reader's position are gone, or its position lies ahead: it must start from `InForce`."""
    last: int


def etag_of(text: str) -> str:
    """Return the hex SHA-256 of a text."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
