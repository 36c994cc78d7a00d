"""Facts: what can change in a tailnet. Each carries the whole record; readers compute differences."""

from __future__ import annotations

from dataclasses import dataclass

from services.registry.model.departure import Departure
from services.registry.model.node import Node
from services.registry.model.relay import Relay
from services.registry.model.user import User
from services.shared.ids import NodeId, UserId
from services.shared.tailnet_settings import TailnetSettings


@dataclass(frozen=True, slots=True)
class NodePut:
    """A node was added or changed; its new record."""

    node: Node
    freed: Departure | None = None
    """The addresses that the change frees."""
    undone: Departure | None = None
    """A departure that this undoes; only in facts that undo others, which are never logged."""


@dataclass(frozen=True, slots=True)
class NodeRemoved:
    """A node was deleted."""

    id: NodeId
    freed: Departure | None = None
    """The addresses that it had."""


@dataclass(frozen=True, slots=True)
class UserPut:
    """A user was added or changed; the new record."""

    user: User


@dataclass(frozen=True, slots=True)
class UserRemoved:
    """A user was deleted."""

    id: UserId


@dataclass(frozen=True, slots=True)
class RelayPut:
    """A relay was added or changed; its new record."""

    relay: Relay


@dataclass(frozen=True, slots=True)
class RelayRemoved:
    """A relay was removed."""

    name: str


@dataclass(frozen=True, slots=True)
class SettingsPut:
    """Administrators stored other settings; all of them."""

    settings: TailnetSettings


Fact = NodePut | NodeRemoved | UserPut | UserRemoved | RelayPut | RelayRemoved | SettingsPut
