"""The state of a tailnet at one position of its log, in memory, with the indexes that the rules need.

It is the fold of the change log: `apply` applies one fact and returns the fact that undoes it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar, assert_never

from services.registry.model.departure import Departure, Departures
from services.registry.model.fact import (
    Fact,
    NodePut,
    NodeRemoved,
    RelayPut,
    RelayRemoved,
    SettingsPut,
    UserPut,
    UserRemoved,
)
from services.registry.model.node import Node
from services.registry.model.relay import Relay
from services.registry.model.routers import RouterIndex
from services.registry.model.user import User
from services.shared.ids import NodeId, UserId
from services.shared.keys import MachineKey, NodeKey
from services.shared.tailnet_settings import TailnetSettings

_Key = TypeVar("_Key")
_NO_SETTINGS = TailnetSettings()


class State:
    """Users, nodes and relays. One owner folds facts into it; everyone else only reads."""

    def __init__(
        self,
        nodes: Iterable[Node] = (),
        users: Iterable[User] = (),
        relays: Iterable[Relay] = (),
        departures: Iterable[Departure] = (),
        settings: TailnetSettings = _NO_SETTINGS,
        *,
        position: int = 0,
    ) -> None:
        self.position = position
        self.settings = settings
        """What administrators stored in place of the configuration."""
        self.newest = NodeId(0)
        """The greatest node id seen, whose addresses the next ones follow."""
        self.last_v4 = ""
        self.last_v6 = ""
        self.name_hints: dict[str, int] = {}
        """For `free_label`."""
        self.routers = RouterIndex()
        """Candidates and primaries of routes."""
        self.departures = Departures(departures)
        """Freed addresses, and the devices that had them."""
        self._nodes: dict[NodeId, Node] = {}
        self._order: list[NodeId] = []
        """The ids of all nodes, ascending."""
        self._users: dict[UserId, User] = {}
        self._relays: dict[str, Relay] = {}
        self._by_node_key: dict[NodeKey, NodeId] = {}
        self._of_machine: dict[MachineKey, tuple[NodeId, ...]] = {}
        self._by_name: dict[str, NodeId] = {}
        self._assigned: dict[str, NodeId] = {}
        for user in users:
            self._users[user.id] = user
        for node in sorted(nodes, key=lambda node: node.id):
            self._order.append(node.id)
            self._add(node)
            self.routers.follow(None, node)
        for relay in relays:
            self._relays[relay.name] = relay

    @property
    def nodes(self) -> Mapping[NodeId, Node]:
        """All nodes by id."""
        return self._nodes

    def nodes_after(self, node_id: int) -> Iterator[Node]:
        """Yield the nodes with a greater id, ordered by id. The state must not change meanwhile."""
        for position in range(bisect_right(self._order, node_id), len(self._order)):
            yield self._nodes[self._order[position]]

    def count_after(self, node_id: int) -> int:
        """Return the number of nodes with a greater id."""
        return len(self._order) - bisect_right(self._order, node_id)

    @property
    def users(self) -> Mapping[UserId, User]:
        """All users by id."""
        return self._users

    @property
    def relays(self) -> Mapping[str, Relay]:
        """All relays by name."""
        return self._relays

    def by_node_key(self, key: NodeKey) -> Node | None:
        """Return the node that has this node key."""
        found = self._by_node_key.get(key)
        return None if found is None else self._nodes[found]

    def of_machine(self, key: MachineKey) -> list[Node]:
        """Return the nodes of this machine key, ordered by id."""
        return [self._nodes[node_id] for node_id in sorted(self._of_machine.get(key, ()))]

    def name_holder(self, given_name: str) -> NodeId | None:
        """Return the node that has this given name."""
        return self._by_name.get(given_name)

    def address_holder(self, address: str) -> NodeId | None:
        """Return the node that has this address."""
        return self._assigned.get(address)

    def is_assigned(self, address: str) -> bool:
        """Return whether a node has this address."""
        return address in self._assigned

    def assigned(self) -> Iterable[str]:
        """Return all assigned addresses."""
        return self._assigned.keys()

    def user_named(self, name: str) -> User | None:
        """Return the user with this name."""
        return next((user for user in self._users.values() if user.name == name), None)

    def apply(self, fact: Fact) -> Fact | None:
        """Apply a fact; return the fact that undoes it, or None if nothing changed."""
        match fact:
            case NodePut(node, freed, undone):
                self.departures.remove(undone)
                self.departures.add(freed)
                return self._put_node(node, freed)
            case NodeRemoved(node_id, freed):
                gone = self._drop(node_id)
                if gone is None:
                    return None
                del self._order[bisect_left(self._order, node_id)]
                self.routers.follow(gone, None)
                self.departures.add(freed)
                return NodePut(gone, undone=freed)
            case UserPut(user):
                old_user = self._users.get(user.id)
                self._users[user.id] = user
                return UserRemoved(user.id) if old_user is None else UserPut(old_user)
            case UserRemoved(user_id):
                gone_user = self._users.pop(user_id, None)
                return None if gone_user is None else UserPut(gone_user)
            case RelayPut(relay):
                old_relay = self._relays.get(relay.name)
                self._relays[relay.name] = relay
                return RelayRemoved(relay.name) if old_relay is None else RelayPut(old_relay)
            case RelayRemoved(name):
                gone_relay = self._relays.pop(name, None)
                return None if gone_relay is None else RelayPut(gone_relay)
            case SettingsPut(settings):
                old_settings, self.settings = self.settings, settings
                return SettingsPut(old_settings)
            case _:
                assert_never(fact)

    def _put_node(self, node: Node, freed: Departure | None) -> Fact:
        hints = self.name_hints
        old = self._drop(node.id)
        if old is None:
            insort(self._order, node.id)  # at the end, as ids rise: cheap
        self._add(node)
        self.routers.follow(old, node)
        if old is not None and old.given_name == node.given_name:
            self.name_hints = hints  # no name was freed
        return NodeRemoved(node.id) if old is None else NodePut(old, undone=freed)

    def _add(self, node: Node) -> None:
        self._nodes[node.id] = node
        self._by_node_key[node.node_key] = node.id
        self._of_machine[node.machine_key] = *self._of_machine.get(node.machine_key, ()), node.id
        self._by_name[node.given_name] = node.id
        for address in (node.ipv4, node.ipv6):
            if address:
                self._assigned[address] = node.id
        if node.id >= self.newest:
            self.newest = node.id
            self.last_v4 = node.ipv4 or self.last_v4
            self.last_v6 = node.ipv6 or self.last_v6

    def _drop(self, node_id: NodeId) -> Node | None:
        node = self._nodes.pop(node_id, None)
        if node is None:
            return None
        _forget(self._by_node_key, node.node_key, node_id)
        _forget(self._by_name, node.given_name, node_id)
        self.name_hints = {}
        _forget(self._assigned, node.ipv4, node_id)
        _forget(self._assigned, node.ipv6, node_id)
        if others := tuple(other for other in self._of_machine[node.machine_key] if other != node_id):
            self._of_machine[node.machine_key] = others
        else:
            del self._of_machine[node.machine_key]
        return node


def _forget(index: dict[_Key, NodeId], key: _Key, node_id: NodeId) -> None:
    if index.get(key) == node_id:
        del index[key]
