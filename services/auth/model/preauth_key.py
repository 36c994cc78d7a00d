"""A pre-auth key: the owner or tags it gives, and the two steps, claim and use, of a single-use key.

A client that never succeeded makes a new node key for each attempt, so a key that was claimed and not yet used may be
tried again by the same *machine*, whatever its node key: a crash between claim and admission costs nothing. Once
the node is admitted, the key is used for every machine.

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
"""Time for which a claim excludes other machines during its admission; well above that call's deadline."""


@dataclass(frozen=True, slots=True)
class KeyClaim:
    """A machine's claim on a single-use key."""

    machine_key: MachineKey
    node_key: NodeKey
    at: datetime


class ClaimStatus(Enum):
    """The status of a single-use key for a machine that wants to claim it."""

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
    description: str = ""
    creator: str = ""
    ipv4: str = ""
    """Address of the node that a single-use key admits. Empty: any."""
    ipv6: str = ""
    """The same."""
    preauthorized: bool = True
    """As it was asked for; nodes of this server need no approval."""

    @property
    def masked(self) -> str:
        """The key's text in lists: prefix without secret."""
        return masked(KeyKind.PRE_AUTH, self.prefix)

    def refusal(self, now: datetime) -> str | None:
        """Return the reason why the key no longer admits nodes; None if it does."""
        if self.expiration is not None and self.expiration <= now:
            return "auth key expired"
        if self.used and not self.reusable:
            return "auth key was used already"
        return None

    def standing(self, machine_key: MachineKey, now: datetime) -> ClaimStatus:
        """Return the key's status for a machine that wants to claim it."""
        if self.claim is None or self.claim.machine_key == machine_key:
            return ClaimStatus.OPEN
        return ClaimStatus.HELD if now < self.claim.at + CLAIM_LEASE else ClaimStatus.STALE
