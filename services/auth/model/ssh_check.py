"""A pending SSH check, and the approval that ends it. Owns their state machine; does no I/O.

    pending -- approved by the owner of the source, or by an administrator --> approved
       |
       +-- rejected by either, or the owner was suspended --> rejected

The approval outlives the check: further sessions start without a check for the period of the policy. It is bound to a
node key and an owner and ends with either; how long it is valid is read from the policy each time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Self

from services.auth.model.login import AuthId
from services.shared.ids import NodeId, UserId
from services.shared.keys import NodeKey

LONGEST = timedelta(hours=168)
"""The longest period of a policy; an older approval never counts."""

MAX_LOCAL_USER = 256
"""Characters; Linux user names have 32, those of directories can be longer."""


class CheckState(Enum):
    """The state of a check."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class SshQuestion:
    """An SSH session that a destination asks about, and what the policy requires for it."""

    source_id: NodeId
    destination_id: NodeId
    local_user: str
    """The user at the destination, as the destination reports it."""
    period: timedelta
    """Validity of an approval; zero: this session only."""
    everywhere: bool
    """An approval for another destination is valid too."""


@dataclass(frozen=True, slots=True)
class PendingSshCheck:
    """An SSH session that waits for an approval."""

    auth_id: AuthId
    source_id: NodeId
    destination_id: NodeId
    source_key: NodeKey
    user_id: UserId
    """Owner of the source."""
    source_name: str
    user_name: str
    destination_name: str
    local_user: str
    everywhere: bool
    each_time: bool
    """The policy requires an approval for each session, so sessions do not share this check."""
    created_at: datetime
    expires_at: datetime
    state: CheckState = CheckState.PENDING
    decided_by: str = ""
    reason: str = ""
    """The reason of a rejection."""

    @property
    def decided(self) -> bool:
        """True if the check was approved or rejected."""
        return self.state is not CheckState.PENDING

    def alive(self, now: datetime) -> bool:
        """Return whether the check has not expired."""
        return now < self.expires_at

    def is_for(self, question: SshQuestion) -> bool:
        """Return whether the check is for this session; an auth id is valid for no other."""
        same = (self.source_id, self.destination_id, self.local_user) == (
            question.source_id,
            question.destination_id,
            question.local_user,
        )
        return same and (self.each_time or bool(question.period))

    def approved(self, by: str) -> Self:
        """Return the check after its approval."""
        return replace(self, state=CheckState.APPROVED, decided_by=by)

    def rejected(self, by: str, reason: str) -> Self:
        """Return the check after its rejection by a person or a rule."""
        return replace(self, state=CheckState.REJECTED, decided_by=by, reason=reason)


@dataclass(frozen=True, slots=True)
class SshApprovalQuery:
    """The approval that would allow a session to start without a check."""

    source_id: NodeId
    destination_id: NodeId
    source_key: NodeKey
    user_id: UserId
    everywhere: bool
    since: datetime
    """Only approvals after this time count."""
