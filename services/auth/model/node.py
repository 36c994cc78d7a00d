"""Nodes and users as the registry sent them, with the fields that decisions here use. Views on messages, no copies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import user_pb2 as user_types

from services.auth.model.login import RegisterMethod
from services.shared.ids import NodeId, UserId
from services.shared.inventory import instant, is_expired
from services.shared.keys import MachineKey, NodeKey


@dataclass(frozen=True, slots=True)
class KnownNode:
    """A node as the registry sent it."""

    record: node_types.Node = field(repr=False)

    @property
    def id(self) -> NodeId:
        """Positive, never reused."""
        return NodeId(self.record.id)

    @property
    def machine_key(self) -> MachineKey:
        """The key of its machine."""
        return MachineKey(self.record.machine_key)

    @property
    def node_key(self) -> NodeKey:
        """Its current key."""
        return NodeKey(self.record.node_key)

    @property
    def user_id(self) -> UserId:
        """The owner; 0 for a tagged node."""
        return UserId(self.record.user_id)

    @property
    def tags(self) -> Sequence[str]:
        """Sorted; not empty: the tags own the node."""
        return self.record.tags

    @property
    def expiry(self) -> datetime | None:
        """When its key expires; None: never."""
        return instant(self.record.expiry) if self.record.HasField("expiry") else None

    @property
    def pre_auth_key_id(self) -> int:
        """The pre-auth key that admitted it; 0: none."""
        return self.record.pre_auth_key_id

    @property
    def name(self) -> str:
        """Its given name."""
        return self.record.given_name

    def is_expired(self, now: datetime) -> bool:
        """Return whether the node's key has expired; a tagged node's key may have expired without an expiry."""
        return is_expired(self.record.expired, self.expiry, now)


@dataclass(frozen=True, slots=True)
class KnownUser:
    """A user as the registry sent it."""

    record: user_types.User = field(repr=False)

    @property
    def id(self) -> UserId:
        """Positive, never reused."""
        return UserId(self.record.id)

    @property
    def name(self) -> str:
        """Unique in the tailnet."""
        return self.record.name

    @property
    def email(self) -> str:
        """Empty when not known."""
        return self.record.email

    @property
    def suspended(self) -> bool:
        """True if the user's nodes have no access."""
        return self.record.suspended


@dataclass(frozen=True, slots=True)
class KnownLink:
    """An identity of a user, with the claims of its last sign-in."""

    issuer: str
    subject: str
    signed_in: bool
    email: str = ""
    """Verified by the provider, or empty."""
    groups: tuple[str, ...] | None = None
    """None: the provider never sent groups."""


@dataclass(frozen=True, slots=True)
class FoundNodes:
    """The nodes that the registry has under the keys of a registration."""

    by_node_key: KnownNode | None = None
    """On any machine."""
    by_old_node_key: KnownNode | None = None
    """On the same machine only."""
    of_machine: tuple[KnownNode, ...] = ()
    users: Mapping[UserId, KnownUser] = field(default_factory=dict)

    def owner_of(self, node: KnownNode) -> KnownUser | None:
        """Return the owner of one of these nodes; None for a tagged node."""
        return self.users.get(node.user_id)


@dataclass(frozen=True, slots=True)
class NodeToAdmit:
    """A node for the registry to admit."""

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
    ipv4: str = ""
    """The address that it is to have. Empty: any."""
    ipv6: str = ""
    """The same."""


@dataclass(frozen=True, slots=True)
class AdmittedNode:
    """A node that was admitted."""

    node: KnownNode
    user: KnownUser | None
