"""Posture attributes of nodes that administrators set and remove; those with an expiry end by the keeper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.registry.model.attribute import (
    MAX_ATTRIBUTES,
    AttributeKinds,
    CustomAttribute,
    check_attribute,
    check_key,
)
from services.registry.model.errors import InvalidInputError, NotFoundError
from services.registry.model.node import Node
from services.registry.model.state import State
from services.registry.usecases.draft import MAX_FACTS, Draft
from services.registry.usecases.ledger import Ledger
from services.shared.ids import NodeId
from services.shared.telemetry import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AttributeChange:
    """The attributes to set and the keys to remove of one node."""

    node: str
    """Its id in decimal digits, or its stable id."""
    put: Sequence[CustomAttribute] = ()
    removed: Sequence[str] = ()


class PostureAttributes:
    """Use case of attributes that administrators set."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def change(self, changes: Sequence[AttributeChange]) -> list[Node]:
        """Change attributes of nodes, all or none of them. Returns the nodes afterwards.

        Raises:
            NotFoundError: there is no such node.
            InvalidInputError: a key, value or expiry is not allowed, or there are too many.
        """
        if len(changes) > MAX_FACTS:
            raise InvalidInputError(f"nodes: more than {MAX_FACTS} at once")
        for change in changes:
            for attribute in change.put:
                check_attribute(attribute)
            for key in change.removed:
                check_key(key)

        async def work(draft: Draft) -> list[Node]:
            found = _named(draft.state, [change.node for change in changes])
            kinds = AttributeKinds(one for node in draft.state.nodes.values() for one in node.custom_attributes)
            return [_apply(draft, found[change.node], change, kinds) for change in changes]

        return await self._ledger.commit(work)


def without_expired(node: Node, now: datetime) -> Node:
    """Return a node without the attributes whose expiry has passed."""
    kept = tuple(one for one in node.custom_attributes if one.expiry is None or one.expiry > now)
    return node if len(kept) == len(node.custom_attributes) else replace(node, custom_attributes=kept)


def _named(state: State, names: Sequence[str]) -> dict[str, NodeId]:
    """Find nodes by id in decimal digits or by stable id, in one pass."""
    found: dict[str, NodeId] = {}
    for name in names:
        if name.isascii() and name.isdigit() and len(name) < 20 and NodeId(int(name)) in state.nodes:
            found[name] = NodeId(int(name))
    wanted = set(names) - found.keys()
    if wanted:
        found |= {node.stable_id: node.id for node in state.nodes.values() if node.stable_id in wanted}
    missing = wanted - found.keys()
    if missing:
        raise NotFoundError("node not found" if len(names) == 1 else f"node not found: {min(missing)[:40]}")
    return found


def _apply(draft: Draft, node_id: NodeId, change: AttributeChange, kinds: AttributeKinds) -> Node:
    node = draft.node(node_id)
    found = {one.key: one for one in node.custom_attributes}
    for key in change.removed:
        found.pop(key, None)
    for attribute in change.put:
        if attribute.expiry is not None and attribute.expiry <= draft.now:
            raise InvalidInputError(f"{attribute.key}: its expiry has passed")
        kinds.check(attribute)
        found[attribute.key] = attribute
    if len(found) > MAX_ATTRIBUTES:
        raise InvalidInputError(f"{node.given_name}: a node has at most {MAX_ATTRIBUTES} attributes")
    changed = replace(node, custom_attributes=tuple(found[key] for key in sorted(found)))
    if draft.put_node(changed):
        draft.after_commit.append(lambda: log.info("posture attributes changed", node_id=node_id))
    return changed
