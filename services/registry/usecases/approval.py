"""What the policy decides for the registry: routes approved without asking, and which tags exist."""

from __future__ import annotations

from typing import Protocol

from services.registry.model.node import Node
from services.registry.model.route import EXIT_ROUTES, read_routes, with_both_exits
from services.registry.model.state import State
from services.registry.model.user import User


class Approver(Protocol):
    """The policy in force, as far as the registry asks it."""

    def approved_routes(self, node: Node, owner: User | None) -> tuple[str, ...]:
        """The advertised routes of the node that need no asking."""
        ...

    def tag_exists(self, tag: str) -> bool:
        """Whether the policy knows the tag; yes while no policy is known."""
        ...


class NoPolicy:
    """Stands in until the policy is known: approves nothing, doubts nothing."""

    def approved_routes(self, node: Node, owner: User | None) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def tag_exists(self, tag: str) -> bool:
        """Nobody can say no yet."""
        return True


class Policies:
    """Holds the approver in force; replaced when the policy changes."""

    def __init__(self) -> None:
        self.current: Approver = NoPolicy()

    def approve(self, state: State, node: Node) -> tuple[str, ...]:
        """The node's approved routes with those that the policy adds; it never takes one away (RTE-03)."""
        if not node.advertised_routes:
            return node.approved_routes
        owner = None if node.is_tagged else state.users.get(node.user_id)
        added = self.current.approved_routes(node, owner)
        if not set(added) - set(node.approved_routes):
            return node.approved_routes
        if any(route in EXIT_ROUTES for route in added):
            added = with_both_exits(added)
        return read_routes((*node.approved_routes, *added))
