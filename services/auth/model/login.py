"""A pending login: a device that waits for an approval. Owns its state machine; knows no identity of the approver.

    pending -- approved by U --> approved -- registry has the node --> admitted
       ^  |                         |
       |  +-- refused --> rejected  |
       +---- registry refuses ------+

The decision is stored before the registry is called, so that two administrators cannot admit one device twice. Any
caller that finds a login `approved` (the administrator again, or the waiting device) may finish it: admission is
idempotent.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum, IntEnum
from typing import NewType, Self

from services.shared.ids import AUTH_ID_PREFIX, NodeId, UserId, is_auth_id
from services.shared.keys import MachineKey, NodeKey

AuthId = NewType("AuthId", str)

MAX_FOLLOWUP = 2048
NO_KEY_EXPIRY = datetime(9998, 1, 1, tzinfo=UTC)
"""The value for "no expiry" where None means the default."""
NOBODY = UserId(0)
NO_NODE = NodeId(0)


class RegisterMethod(IntEnum):
    """The way in which a node was admitted; the numbers are those of the registry's contract."""

    AUTH_KEY = 1
    CLI = 2
    OIDC = 3


class LoginState(Enum):
    """The state of a login."""

    PENDING = "pending"
    APPROVED = "approved"
    ADMITTED = "admitted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Login:
    """A device that asks to join and waits for a person."""

    auth_id: AuthId
    machine_key: MachineKey
    node_key: NodeKey
    old_node_key: NodeKey
    hostinfo: bytes = field(repr=False)
    hostname: str
    os: str
    tags: tuple[str, ...]
    version: int
    ephemeral: bool
    remote_address: str
    created_at: datetime
    expires_at: datetime
    wanted_expiry: datetime | None = None
    """The expiry that the client requests; effective only if earlier than the default."""
    state: LoginState = LoginState.PENDING
    user_id: UserId = NOBODY
    method: RegisterMethod = RegisterMethod.CLI
    key_end: datetime | None = None
    """The expiry that the approval sets for the node's key; None: as configured."""
    node_id: NodeId = NO_NODE
    reason: str = ""
    """The reason of a rejection."""

    @property
    def decided(self) -> bool:
        """True if the login was approved or rejected."""
        return self.state is not LoginState.PENDING

    def alive(self, now: datetime) -> bool:
        """Return whether the login has not expired."""
        return now < self.expires_at

    def approved(self, user_id: UserId, method: RegisterMethod, key_end: datetime | None = None) -> Self:
        """Return the login after its approval."""
        return replace(self, state=LoginState.APPROVED, user_id=user_id, method=method, key_end=key_end)

    def admitted(self, node_id: NodeId) -> Self:
        """Return the login after the registry admitted the node."""
        return replace(self, state=LoginState.ADMITTED, node_id=node_id)

    def rejected(self, reason: str) -> Self:
        """Return the login after its rejection by a person or a rule."""
        return replace(self, state=LoginState.REJECTED, reason=reason)

    def reopened(self) -> Self:
        """Return the login after the registry refused the node for this user: another user may approve it."""
        return replace(self, state=LoginState.PENDING, user_id=NOBODY, key_end=None)


def new_auth_id(seed: bytes) -> AuthId:
    """Make an auth id of 12 random bytes."""
    if len(seed) != 12:
        raise ValueError("an auth id is made of 12 random bytes")
    return AuthId(AUTH_ID_PREFIX + seed.hex())


def read_auth_id(text: str) -> AuthId | None:
    """Read an auth id; None if the text is not one."""
    return AuthId(text) if is_auth_id(text) else None


def read_followup(url: str) -> AuthId | None:
    """Return the auth id at the end of the path of a login URL, or None."""
    if len(url) > MAX_FOLLOWUP:
        return None
    path = url.split("#", 1)[0].split("?", 1)[0]
    return read_auth_id(path.rstrip("/").rpartition("/")[2])
