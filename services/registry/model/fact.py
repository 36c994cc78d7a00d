"""What can happen in a tailnet. Each fact carries the whole record, so that readers compute differences."""

from __future__ import annotations

from dataclasses import dataclass

from services.registry.model.node import Node
from services.registry.model.relay import Relay
from services.registry.model.user import User
from services.shared.ids import NodeId, UserId


@dataclass(frozen=True, slots=True)
class NodePut:
    """A node was added or changed; holds its new state."""

    node: Node


@dataclass(frozen=True, slots=True)
class NodeRemoved:
    """A node is gone."""

    id: NodeId


@dataclass(frozen=True, slots=True)
class UserPut:
    """A user was added or changed; holds the new state."""

    user: User


@dataclass(frozen=True, slots=True)
class UserRemoved:
    """A user is gone."""

    id: UserId


@dataclass(frozen=True, slots=True)
class RelayPut:
    """A relay was added or changed; holds its new state."""

    relay: Relay


@dataclass(frozen=True, slots=True)
class RelayRemoved:
    """A relay is gone."""

    name: str


Fact = NodePut | NodeRemoved | UserPut | UserRemoved | RelayPut | RelayRemoved
