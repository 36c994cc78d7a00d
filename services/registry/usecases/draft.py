"""The context of one work: the newest state, the time, the transaction, and the facts recorded so far."""

from __future__ import annotations

from datetime import datetime

from services.registry.model.errors import NotFoundError
from services.registry.model.fact import Fact, NodePut, NodeRemoved, RelayPut, UserPut
from services.registry.model.node import Node
from services.registry.model.relay import Relay
from services.registry.model.state import State
from services.registry.model.user import User
from services.registry.store import Transaction
from services.shared.ids import NodeId, UserId

MAX_FACTS = 1000
"""Changes that work without a caller makes in one transaction: reports of gateways and clients wait no longer."""


class Draft:
    """The work sees its own facts at once; others see them after the commit."""

    def __init__(self, state: State, now: datetime, transaction: Transaction) -> None:
        self.state = state
        self.now = now
        self.transaction = transaction
        self.facts: list[Fact] = []
        self.undo: list[Fact] = []

    def node(self, node_id: NodeId) -> Node:
        """One node.

        Raises:
            NotFoundError: there is none with this id.
        """
        return node_of(self.state, node_id)

    def user(self, user_id: UserId) -> User:
        """One user.

        Raises:
            NotFoundError: there is none with this id.
        """
        return user_of(self.state, user_id)

    def put_node(self, node: Node) -> bool:
        """Insert or update a node. Returns False if it is unchanged."""
        if self.state.nodes.get(node.id) == node:
            return False
        self.record(NodePut(node))
        return True

    def remove_node(self, node_id: NodeId) -> None:
        """Remove a node."""
        self.record(NodeRemoved(node_id))

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


def node_of(state: State, node_id: NodeId) -> Node:
    """One node of a state.

    Raises:
        NotFoundError: there is none with this id.
    """
    node = state.nodes.get(node_id)
    if node is None:
        raise NotFoundError("node not found")
    return node


def user_of(state: State, user_id: UserId) -> User:
    """One user of a state.

    Raises:
        NotFoundError: there is none with this id.
    """
    user = state.users.get(user_id)
    if user is None:
        raise NotFoundError("user not found")
    return user
