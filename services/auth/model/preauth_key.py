"""A pre-auth key: whom it admits, and the two steps in which a single-use key is used up.

A client that never succeeded makes a new node key for each attempt, so a key that was claimed and not yet used may be
tried again by the same *machine*, whatever its node key: a crash between claim and admission costs nothing. Once
the node is admitted the key is used, and used means used for everyone.

    free -- claim by M --> claimed by M -- node admitted --> used
                 ^                |
                 +--- refused ----+--- lease over, registry knows no node of M by this key ---> claimed by another
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from services.auth.model.secret import KeyKind, masked
from services.shared.ids import UserId
from services.shared.keys import MachineKey, NodeKey

DEFAULT_LIFETIME = timedelta(hours=1)

CLAIM_LEASE = timedelta(seconds=60)
"""How long a claim excludes others while its admission may be in progress; well above the deadline of that call."""


@dataclass(frozen=True, slots=True)
class KeyClaim:
    """A machine's claim on a single-use key."""

    machine_key: MachineKey
    node_key: NodeKey
    at: datetime


class ClaimStatus(Enum):
    """Whether a machine may claim a single-use key."""

    OPEN = auto()
    """Free, or claimed by this machine before."""
    HELD = auto()
    """Another machine is being admitted with it."""
    STALE = auto()
    """The lease of another machine's claim has expired: the registry knows whether it was admitted."""


@dataclass(frozen=True, slots=True)
class PreAuthKey:
    """A pre-auth key without its secret."""

    id: int
    prefix: str
    user_id: UserId
    """Owner of the nodes; 0 if tags own them."""
    reusable: bool
    ephemeral: bool
    tags: tuple[str, ...]
    created_at: datetime
    expiration: datetime | None = None
    used: bool = False
    claim: KeyClaim | None = None

    @property
    def masked(self) -> str:
        """Its text in lists: prefix without secret."""
        return masked(KeyKind.PRE_AUTH, self.prefix)

    def refusal(self, now: datetime) -> str | None:
        """Why it no longer admits nodes; None if it does."""
        if self.expiration is not None and self.expiration <= now:
            return "auth key expired"
        if self.used and not self.reusable:
            return "auth key was used already"
        return None

    def standing(self, machine_key: MachineKey, now: datetime) -> ClaimStatus:
        """Return whether a machine may claim it."""
        if self.claim is None or self.claim.machine_key == machine_key:
            return ClaimStatus.OPEN
        return ClaimStatus.HELD if now < self.claim.at + CLAIM_LEASE else ClaimStatus.STALE
