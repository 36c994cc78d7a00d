"""The store interface of the use cases: versions, the compiled form in force, and one tailnet's change log."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from services.policy.model.version import CheckedPolicy, InForce, LogEntry, Records, Version

KEPT_CHANGES = 100
"""Number of changes kept in the log. Each has a whole compiled form, so readers need only the latest."""


class Codec(Protocol):
    """Encoder of a change as the payload of a record."""

    def encode(self, seq: int, time: datetime, compiled: bytes, version: int) -> bytes:
        """Return the payload of a change."""
        ...


class Store(Protocol):
    """One tailnet's policies. Every write numbers a change in the same transaction."""

    async def in_force(self) -> InForce | None:
        """Return the compiled form in force; None if the log is empty."""
        ...

    async def current(self) -> Version | None:
        """Return the version in force; None if there is none."""
        ...

    async def version(self, number: int) -> Version | None:
        """Return a version with its text."""
        ...

    async def newest(self) -> Version | None:
        """Return the version accepted last, whether or not it is in force."""
        ...

    async def versions(self, before: int, limit: int) -> list[Version]:
        """Return versions below a number (0: all), newest first, without text."""
        ...

    async def accept(self, draft: CheckedPolicy, if_match: str) -> tuple[Version, LogEntry]:
        """Store a version and put it in force.

        Raises: `OvertakenError` when `if_match` is given and is not the etag in force.
        """
        ...

    async def put_in_force(self, compiled: bytes, number: int, now: datetime) -> LogEntry:
        """Put a compiled form in force without a new version: an older version, or none (0)."""
        ...

    async def records(self, after: int) -> Records:
        """Return the records after a position."""
        ...
