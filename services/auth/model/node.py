"""Nodes and users as far as this service reads them. The registry's own messages are passed on unread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.auth.model.login import RegisterMethod
from services.shared.ids import NodeId, UserId
from services.shared.keys import MachineKey, NodeKey


@dataclass(frozen=True, slots=True)
class KnownNode:
    """A node of the registry."""

    id: NodeId
    machine_key: MachineKey
    node_key: NodeKey
    user_id: UserId
    """0 for a tagged node."""
    tags: tuple[str, ...] = ()
    expiry: datetime | None = None
    ended: bool = False
    """The registry reports its key as expired; a tagged node's can be, without an expiry."""
    pre_auth_key_id: int = 0
    name: str = ""
    """Its given name."""
    record: bytes = field(default=b"", repr=False)
    """The registry's message, serialised."""

    def is_expired(self, now: datetime) -> bool:
        """Whether its key has expired."""
        return self.ended or (self.expiry is not None and self.expiry <= now)


@dataclass(frozen=True, slots=True)
class KnownUser:
    """A user of the registry."""

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
    """Of whatever machine."""
    by_old_node_key: KnownNode | None = None
    """Of the same machine only."""
    of_machine: tuple[KnownNode, ...] = ()
    users: Mapping[UserId, KnownUser] = field(default_factory=dict)

    def owner_of(self, node: KnownNode) -> KnownUser | None:
        """Return the owner of one of them; None for a tagged node."""
        return self.users.get(node.user_id)


@dataclass(frozen=True, slots=True)
class NodeAdmission:
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


@dataclass(frozen=True, slots=True)
class AdmittedNode:
    """A node that was admitted."""

    node: KnownNode
    user: KnownUser | None
