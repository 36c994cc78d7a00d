"""An SSH session that waits for a person, and the word that they gave. Owns their states; asks nobody anything.

    pending -- the owner of the source, or an administrator, said yes --> approved
       |
       +-- said no, or was suspended --> rejected

The word outlives the check: further sessions begin without asking for as long as the policy says. It is one node key's
and one owner's, so that it ends with either, and how long it holds is asked of the policy each time.
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
"""The longest period that a policy can name; an older word never counts."""

MAX_LOCAL_USER = 256
"""Characters; Linux has names of 32, directories have longer ones."""


class CheckState(Enum):
    """How far a check is."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class SshQuestion:
    """A session that a destination asks about, and what the policy wants for it."""

    source_id: NodeId
    destination_id: NodeId
    local_user: str
    """Who the session is for there, as the destination says."""
    period: timedelta
    """How long a person's word holds; zero: not beyond the session."""
    everywhere: bool
    """A word given for another destination counts too."""


@dataclass(frozen=True, slots=True)
class PendingSshCheck:
    """A session that waits for a person."""

    auth_id: AuthId
    source_id: NodeId
    destination_id: NodeId
    source_key: NodeKey
    user_id: UserId
    """Who owns the source."""
    source_name: str
    user_name: str
    destination_name: str
    local_user: str
    everywhere: bool
    each_time: bool
    """The policy wants a word for this very session, so no other one may wait on the same."""
    created_at: datetime
    expires_at: datetime
    state: CheckState = CheckState.PENDING
    decided_by: str = ""
    reason: str = ""
    """Why it was rejected."""

    @property
    def decided(self) -> bool:
        """Whether somebody has spoken."""
        return self.state is not CheckState.PENDING

    def alive(self, now: datetime) -> bool:
        """Whether it still counts."""
        return now < self.expires_at

    def is_for(self, question: SshQuestion) -> bool:
        """Whether it was made for this session: an auth id says nothing about any other."""
        same = (self.source_id, self.destination_id, self.local_user) == (
            question.source_id,
            question.destination_id,
            question.local_user,
        )
        return same and (self.each_time or bool(question.period))

    def approved(self, by: str) -> Self:
        """As it is once somebody said yes."""
        return replace(self, state=CheckState.APPROVED, decided_by=by)

    def rejected(self, by: str, reason: str) -> Self:
        """As it is once somebody or a rule said no."""
        return replace(self, state=CheckState.REJECTED, decided_by=by, reason=reason)


@dataclass(frozen=True, slots=True)
class SshApprovalQuery:
    """What would have to be known of a person's word for a session to begin without asking."""

    source_id: NodeId
    destination_id: NodeId
    source_key: NodeKey
    user_id: UserId
    everywhere: bool
    since: datetime
    """Given later than this."""
