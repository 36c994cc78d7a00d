"""The context of one use case under the lock: newest state, time, transaction, and the facts recorded so far."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from services.registry.model.departure import Departure, DepartureReason
from services.registry.model.errors import NotFoundError
from services.registry.model.fact import Fact, NodePut, NodeRemoved, RelayPut, SettingsPut, UserPut
from services.registry.model.node import Node
from services.registry.model.relay import Relay
from services.registry.model.state import State
from services.registry.model.user import User
from services.registry.store import Transaction
from services.shared.ids import NodeId, UserId
from services.shared.tailnet_settings import TailnetSettings

MAX_FACTS = 1000
"""Maximum changes of background work in one transaction, so that reports of gateways and clients do not wait longer."""


class Draft:
    """A use case's changes: visible to itself at once, to others after the commit."""

    def __init__(self, state: State, now: datetime, transaction: Transaction) -> None:
        self.state = state
        self.now = now
        self.transaction = transaction
        self.facts: list[Fact] = []
        self.undo: list[Fact] = []
        self.after_commit: list[Callable[[], None]] = []
        """Called once the facts are committed: for logs, metrics and memories, which must not say what was undone."""

    def node(self, node_id: NodeId) -> Node:
        """Return a node by id.

        Raises:
            NotFoundError: no record has this id.
        """
        return node_of(self.state, node_id)

    def user(self, user_id: UserId) -> User:
        """Return a user by id.

        Raises:
            NotFoundError: no record has this id.
        """
        return user_of(self.state, user_id)

    def put_node(self, node: Node) -> bool:
        """Insert or update a node. Returns False if it is unchanged."""
        if self.state.nodes.get(node.id) == node:
            return False
        self.record(NodePut(node))
        return True

    def readdress_node(self, node: Node) -> None:
        """Update a node that has other addresses; the former ones are free after their quarantine."""
        freed = Departure.of(self.node(node.id), DepartureReason.READDRESSED, self.now, node)
        self.record(NodePut(node, freed if freed.addresses else None))

    def remove_node(self, node_id: NodeId, reason: DepartureReason) -> None:
        """Remove a node. Its addresses are free after their quarantine, and for its device if it joins again."""
        node = self.state.nodes.get(node_id)
        self.record(NodeRemoved(node_id, None if node is None else Departure.of(node, reason, self.now)))

    def put_user(self, user: User) -> bool:
        """Insert or update a user. Returns False if it is unchanged."""
        if self.state.users.get(user.id) == user:
            return False
        self.record(UserPut(user))
        return True

    def put_relay(self, relay: Relay) -> bool:
        """Insert or update a relay. Returns False if it is unchanged."""
        if self.state.relays.get(relay.name) == relay:
            return False
        self.record(RelayPut(relay))
        return True

    def put_settings(self, settings: TailnetSettings) -> bool:
        """Replace the stored settings. Returns False if they are unchanged."""
        if self.state.settings == settings:
            return False
        self.record(SettingsPut(settings))
        return True

    def record(self, fact: Fact) -> None:
        """Apply a fact to the state and record it for the change log."""
        inverse = self.state.apply(fact)
        if inverse is not None:
            self.facts.append(fact)
            self.undo.append(inverse)

    def roll_back(self) -> None:
        """Undo every recorded fact."""
        for fact in reversed(self.undo):
            self.state.apply(fact)
        self.facts.clear()
        self.undo.clear()
        self.after_commit.clear()


def node_of(state: State, node_id: NodeId) -> Node:
    """Return a node of a state by id.

    Raises:
        NotFoundError: no record has this id.
    """
    node = state.nodes.get(node_id)
    if node is None:
        raise NotFoundError("node not found")
    return node


def user_of(state: State, user_id: UserId) -> User:
    """Return a user of a state by id.

    Raises:
        NotFoundError: no record has this id.
    """
    user = state.users.get(user_id)
    if user is None:
        raise NotFoundError("user not found")
    return user
