"""For `elections`: whose record or owner one write changed, and which of their routes must be examined.

Compares the facts of a write with what they replaced. Elects nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from services.registry.model.fact import NodePut, NodeRemoved, UserPut
from services.registry.model.node import Node
from services.registry.model.route import subnet_routes
from services.registry.model.state import State
from services.registry.usecases.draft import Draft
from services.shared.ids import NodeId


@dataclass(frozen=True, slots=True)
class RouterChange:
    """A router before and after a write; None: it did not exist."""

    old: Node | None
    new: Node | None


def router_changes(draft: Draft) -> dict[NodeId, RouterChange]:
    """Return the routers whose record or owner a write changed, each as it was before and as it is."""
    before: dict[NodeId, Node | None] = {}
    owners = set()
    for fact, inverse in zip(draft.facts, draft.undo, strict=True):
        if isinstance(fact, NodePut):
            old = inverse.node if isinstance(inverse, NodePut) else None
            if fact.node.approved_routes or (old is not None and old.approved_routes):
                before.setdefault(fact.node.id, old)
        elif isinstance(fact, NodeRemoved) and isinstance(inverse, NodePut) and inverse.node.approved_routes:
            before.setdefault(fact.id, inverse.node)
        elif (
            isinstance(fact, UserPut) and isinstance(inverse, UserPut) and fact.user.suspended != inverse.user.suspended
        ):
            owners.add(fact.user.id)
    changes = {node_id: RouterChange(old, draft.state.nodes.get(node_id)) for node_id, old in before.items()}
    if owners:
        for node in routers_of(draft.state):
            if node.user_id in owners:
                changes.setdefault(node.id, RouterChange(node, node))
    return changes


def routes_to_examine(change: RouterChange) -> Iterable[str]:
    """Return the routes of a router to examine: those gained and lost, or all if its health may have changed."""
    old, new = change.old, change.new
    if old is not None and new is not None and old is not new and _same_routes(old, new):
        return () if _flags(old) == _flags(new) else subnet_routes(new)
    before, after = subnet_routes(old), subnet_routes(new)
    if old is new or old is None or new is None or _flags(old) != _flags(new):
        return before | after
    return before ^ after


def _same_routes(old: Node, new: Node) -> bool:
    return old.advertised_routes == new.advertised_routes and old.approved_routes == new.approved_routes


def _flags(node: Node) -> tuple[object, ...]:
    """Fields on which it depends whether a router can carry traffic, as far as its own record has them."""
    return node.online, node.expired, node.expiry, node.user_id, bool(node.tags)


def was_healthy(change: RouterChange) -> bool:
    """Return whether a router that is healthy now was so before."""
    if change.new is not None and change.new.healthy_since is not None:
        return True
    old, new = change.old, change.new
    if old is None or new is None or old is new:
        return False
    return bool(subnet_routes(old)) and _flags(old) == _flags(new)


def routers_of(state: State) -> Iterable[Node]:
    """Return the routers of a tailnet, ordered by id."""
    return [state.nodes[node_id] for node_id in sorted(state.routers.ids)]
