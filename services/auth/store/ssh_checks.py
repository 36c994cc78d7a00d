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
    """The limits on pending SSH checks."""

    total: int
    per_destination: int
    """Maximum pending checks to one node."""
    per_source: int
    """Maximum pending checks from one node."""
    per_pair: int
    """Maximum pending checks from one node to another."""


@dataclass(frozen=True, slots=True)
class OpenedSshCheck:
    """A stored check, and those that it displaced."""

    check: PendingSshCheck
    """The new check, or the pending one that the same approval ends."""
    displaced: tuple[AuthId, ...] = ()


class SshCheckStore(Protocol):
    """The tables of pending SSH checks and of approvals."""

    async def open(self, check: PendingSshCheck, room: SshCheckLimits) -> OpenedSshCheck | None:
        """Insert a check. Returns None if it is refused.

        A pending check that the same approval ends, with half of its lifetime left, is returned instead, unless the
        policy requires an approval for each session. Expired checks are deleted. If the two nodes, the source or the
        destination are at their limit or the table is full, one of theirs is displaced, decided and old ones first.
        """
        ...

    async def get(self, auth_id: AuthId) -> PendingSshCheck | None:
        """Return a check, expired or not, or None."""
        ...

    async def list(self, now: datetime) -> tuple[PendingSshCheck, ...]:
        """List pending checks that have not expired, oldest first."""
        ...

    async def pending(self, auth_ids: Collection[AuthId], now: datetime) -> frozenset[AuthId]:
        """Return those of at most 500 checks that are pending, have not expired, and that no newer approval may end."""
        ...

    async def approve(self, check: PendingSshCheck, by: str, now: datetime) -> tuple[AuthId, ...] | None:
        """Store an approval and end its check in one transaction.

        Returns the other checks of the same source, which the approval may end too, or None if the check was already
        approved or rejected.
        """
        ...

    async def reject(self, check: PendingSshCheck, by: str, reason: str) -> bool:
        """Reject a check. Returns False if it was already approved or rejected."""
        ...

    async def given(self, word: SshApprovalQuery) -> bool:
        """Return whether there is such an approval."""
        ...
