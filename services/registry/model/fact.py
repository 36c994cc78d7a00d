"""What can happen in a tailnet. Each fact carries the whole record, so that readers compute differences."""

from __future__ import annotations

from dataclasses import dataclass

from services.registry.model.node import Node
from services.registry.model.relay import Relay
from services.registry.model.user import User
from services.shared.ids import NodeId, UserId


@dataclass(frozen=True, slots=True)
class NodePut:
    """A node is now so: new or changed."""

    node: Node


@dataclass(frozen=True, slots=True)
class NodeRemoved:
    """A node is gone."""

    id: NodeId


@dataclass(frozen=True, slots=True)
class UserPut:
    """A user is now so: new or changed."""

    user: User


@dataclass(frozen=True, slots=True)
class UserRemoved:
    """A user is gone."""

    id: UserId


@dataclass(frozen=True, slots=True)
class RelayPut:
    """A relay is now so: new or changed."""

    relay: Relay


@dataclass(frozen=True, slots=True)
class RelayRemoved:
    """A relay is gone."""

    name: str


Fact = NodePut | NodeRemoved | UserPut | UserRemoved | RelayPut | RelayRemoved
