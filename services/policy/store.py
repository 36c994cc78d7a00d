"""What the use cases need of a database: versions, what is in force, and the numbered change log of one tailnet."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from services.policy.model.version import Draft, InForce, Record, Records, Version

KEPT_CHANGES = 100
"""Changes that the log keeps; each holds a whole compiled form, so an old one is never needed to catch up."""


class Codec(Protocol):
    """How a change becomes the payload of a record."""

    def encode(self, seq: int, time: datetime, compiled: bytes, version: int) -> bytes:
        """The payload of one change."""
        ...


class Store(Protocol):
    """One tailnet's policies. Every write numbers a change in the same transaction."""

    async def in_force(self) -> InForce | None:
        """The compiled form in force; None when nothing was ever recorded."""
        ...

    async def current(self) -> Version | None:
        """The version in force; None when there is none."""
        ...

    async def version(self, number: int) -> Version | None:
        """One version, with its text."""
        ...

    async def newest(self) -> Version | None:
        """The version accepted last, whether or not it is in force."""
        ...

    async def versions(self, before: int, limit: int) -> list[Version]:
        """Versions below a number (0: all), newest first, without text."""
        ...

    async def accept(self, draft: Draft, if_match: str) -> tuple[Version, Record]:
        """Store a version and put it in force.

        Raises: `OvertakenError` when `if_match` is given and is not the etag in force.
        """
        ...

    async def put_in_force(self, compiled: bytes, number: int, now: datetime) -> Record:
        """Put a compiled form in force without a new version: an older version, or none (0)."""
        ...

    async def records(self, after: int) -> Records:
        """The records after a position."""
        ...
