"""A policy version: an accepted text with its author, time and reason."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from services.policy.model.text.canonical import canonical
from services.policy.model.text.problems import SyntaxProblem

NO_POLICY_ETAG = "ts-default"
"""The etag while no policy was ever set, and of the empty text that resets it, as `/api/v2` clients expect it."""


@dataclass(frozen=True, slots=True)
class CheckedPolicy:
    """A checked policy that is not stored yet."""

    text: str
    compiled: bytes
    author: str
    reason: str
    created_at: datetime
    etag: str


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
class LogEntry:
    """An encoded entry of the change log."""

    seq: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Records:
    """A part of the change log."""

    records: tuple[LogEntry, ...]
    reset: bool
    """The records after the reader's position are gone, or its position lies ahead: it must start from `InForce`."""
    last: int


def etag_of(text: str) -> str:
    """Return the hex SHA-256 of a policy in canonical layout; of the text itself if it is YAML."""
    if not text:
        return NO_POLICY_ETAG
    with contextlib.suppress(SyntaxProblem):
        text = canonical(text)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
