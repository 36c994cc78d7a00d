"""The chain of audit entries: each hash covers the entry and the hash before it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

FIRST = "0" * 64
"""What stands before the first entry."""
INTERRUPTED = "INTERRUPTED"
"""Result of a call of which the server's end left unknown whether it was made."""
PATIENCE = timedelta(minutes=5)
"""How long a call may be without a result: longer than any call takes."""
RETENTION = timedelta(days=365)
"""How long entries are kept."""


@dataclass(frozen=True, slots=True)
class ChainedEntry:
    """An entry as it is stored."""

    seq: int
    body: bytes
    """The entry as a deterministic message, without position and hash."""
    hash: str


@dataclass(frozen=True, slots=True)
class Anchor:
    """Where the stored part of the log starts: entries up to here were removed because they were old."""

    seq: int = 0
    hash: str = FIRST


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found."""

    entries: int
    last_hash: str
    first_wrong: int = 0
    problem: str = ""


def hash_of(previous: str, seq: int, body: bytes) -> str:
    """Return the hash of an entry that follows one with the hash `previous`."""
    return sha256(f"{previous}\n{seq}\n".encode() + body).hexdigest()


def verify(anchor: Anchor, links: Iterable[ChainedEntry], head: Anchor) -> Verdict:
    """Check that each entry follows the one before it, and that the last one is the newest that was appended."""
    seq, last, count = anchor.seq, anchor.hash, 0
    for link in links:
        if link.seq != seq + 1:
            return Verdict(count, last, seq + 1, f"{link.seq - seq - 1} entries are missing")
        if link.hash != hash_of(last, link.seq, link.body):
            return Verdict(count, last, link.seq, "the entry was changed")
        seq, last, count = link.seq, link.hash, count + 1
    if (seq, last) != (head.seq, head.hash):
        return Verdict(count, last, seq + 1, f"{head.seq - seq} entries at the end are missing")
    return Verdict(count, last)
