"""What this service needs to know of nodes and users. The registry's own records ride along unread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.auth.model.login import RegisterMethod
from services.shared.ids import NodeId, UserId
from services.shared.keys import MachineKey, NodeKey


@dataclass(frozen=True, slots=True)
class KnownNode:
    """A node as the registry has it."""

    id: NodeId
    machine_key: MachineKey
    node_key: NodeKey
    user_id: UserId
    """0 for a tagged node."""
    tags: tuple[str, ...] = ()
    expiry: datetime | None = None
    ended: bool = False
    """The registry says that its key has ended; a tagged node's can, without an expiry."""
    pre_auth_key_id: int = 0
    name: str = ""
    """Its given name."""
    record: bytes = field(default=b"", repr=False)
    """The registry's message, serialised."""

    def is_expired(self, now: datetime) -> bool:
        """Whether its key has ended."""
        return self.ended or (self.expiry is not None and self.expiry <= now)


@dataclass(frozen=True, slots=True)
class KnownUser:
    """A user as the registry has it."""

    id: UserId
    name: str
    email: str = ""
    provider_id: str = ""
    role: str = ""
    groups: tuple[str, ...] = ()
    suspended: bool = False
    record: bytes = field(default=b"", repr=False)
    """The registry's message, serialised."""


@dataclass(frozen=True, slots=True)
class KnownLink:
    """An identity of a user, and what its last login said."""

    issuer: str
    subject: str
    signed_in: bool
    email: str = ""
    """Vouched for by the provider, or empty."""
    groups: tuple[str, ...] | None = None
    """None: the provider never said."""


@dataclass(frozen=True, slots=True)
class FoundNodes:
    """What the registry knows under the keys of a registration."""

    by_node_key: KnownNode | None = None
    """Of whatever machine."""
    by_old_node_key: KnownNode | None = None
    """Of the same machine only."""
    of_machine: tuple[KnownNode, ...] = ()
    users: Mapping[UserId, KnownUser] = field(default_factory=dict)

    def owner_of(self, node: KnownNode) -> KnownUser | None:
        """The owner of one of them; None for a tagged node."""
        return self.users.get(node.user_id)


@dataclass(frozen=True, slots=True)
class NodeAdmission:
    """What the registry is asked to let in."""

    machine_key: MachineKey
    node_key: NodeKey
    old_node_key: NodeKey
    user_id: UserId
    tags: tuple[str, ...]
    ephemeral: bool
    expiry: datetime | None
    """None: the configured default; `NEVER_ENDS`: none at all."""
    hostinfo: bytes = field(repr=False)
    version: int
    method: RegisterMethod
    pre_auth_key_id: int = 0


@dataclass(frozen=True, slots=True)
class AdmittedNode:
    """A node is in."""

    node: KnownNode
    user: KnownUser | None
