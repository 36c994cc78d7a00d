"""Protocol of the tables of pending SSH checks and approvals, and the limits on pending ones."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.auth.model.login import AuthId
from services.auth.model.ssh_check import PendingSshCheck, SshApprovalQuery


@dataclass(frozen=True, slots=True)
class SshCheckLimits:
    """How many SSH sessions may wait."""

    total: int
    per_destination: int
    """To one node, so that none can fill the table."""
    per_source: int
    """From one node, likewise."""
    per_pair: int
    """From one node to one other."""


@dataclass(frozen=True, slots=True)
class OpenedSshCheck:
    """A check was stored, perhaps in the place of another."""

    check: PendingSshCheck
    """The given one, or the one that waited for the same word already."""
    displaced: tuple[AuthId, ...] = ()


class SshCheckStore(Protocol):
    """The tables of SSH sessions that wait for a person, and of the words that people gave."""

    async def open(self, check: PendingSshCheck, room: SshCheckLimits) -> OpenedSshCheck | None:
        """Store a check; None when there is no room.

        One that waits for the same word, and for half of its time yet, is returned instead, unless the policy wants a
        word for each session. Checks that have ended are forgotten; when the two nodes, the source or the destination
        have their share or the table is full, one of theirs goes: one that was decided, or else the oldest.
        """
        ...

    async def get(self, auth_id: AuthId) -> PendingSshCheck | None:
        """One check, whatever its age."""
        ...

    async def list(self, now: datetime) -> tuple[PendingSshCheck, ...]:
        """Those that nobody has decided and that have not ended, oldest first."""
        ...

    async def pending(self, auth_ids: Collection[AuthId], now: datetime) -> frozenset[AuthId]:
        """Those of these checks, at most 500, that are pending, have not ended, and that no newer approval may end."""
        ...

    async def approve(self, check: PendingSshCheck, by: str, now: datetime) -> tuple[AuthId, ...] | None:
        """Write a person's word down, in one step with the check's end; None when the check was decided before.

        Returns the other checks of the same source, which the word may end too.
        """
        ...

    async def reject(self, check: PendingSshCheck, by: str, reason: str) -> bool:
        """Write down that a session may not begin; False when the check was decided before."""
        ...

    async def given(self, word: SshApprovalQuery) -> bool:
        """Whether a person gave such a word."""
        ...
