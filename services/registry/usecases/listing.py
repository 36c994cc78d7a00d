"""Reads of the whole tailnet: pages of nodes for administrators, and subjects (users, nodes) for the policy service.

Nodes are immutable, so a listing holds references to the ledger's own records and costs a few words per node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from services.registry.model.errors import NotFoundError
from services.registry.model.node import Node
from services.registry.model.state import State
from services.registry.model.user import User
from services.registry.usecases.draft import node_of
from services.registry.usecases.ledger import Ledger
from services.shared.ids import NodeId, UserId
from services.shared.inventory import is_suspended


@dataclass(frozen=True, slots=True)
class NodeFilter:
    """Which nodes to list. A field that is None matches every node."""

    user_id: UserId | None = None
    after: int = 0
    """Only nodes with a greater id."""
    limit: int | None = None
    tag: str | None = None
    online: bool | None = None
    routers_only: bool = False

    @property
    def matches_all(self) -> bool:
        """Return whether every node after the position matches."""
        return self.user_id is None and self.tag is None and self.online is None and not self.routers_only

    def matches(self, node: Node) -> bool:
        """Return whether a node belongs to the list, whatever the position and the limit."""
        return (
            self.user_id in (None, node.user_id)
            and (self.tag is None or self.tag in node.tags)
            and self.online in (None, node.online)
            and (not self.routers_only or is_router(node))
        )


@dataclass(frozen=True, slots=True)
class NodeList:
    """Nodes ordered by id, and their owners."""

    nodes: tuple[Node, ...]
    users: Mapping[UserId, User]
    total: int
    """Number of nodes that match the filter, whatever its limit."""


@dataclass(frozen=True, slots=True)
class Subjects:
    """The users and nodes of the tailnet at one position, ordered by id."""

    position: int
    users: tuple[User, ...]
    nodes: tuple[Node, ...]
    suspended: frozenset[NodeId]
    """Nodes without access because their owner is suspended."""


class Listings:
    """Lists nodes and users at one position of the change log."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def get(self, node_id: NodeId) -> tuple[Node, User | None]:
        """Return a node and its owner.

        Raises:
            NotFoundError: no node has this id.
        """

        def read(state: State) -> tuple[Node, User | None]:
            return _with_owner(state, node_of(state, node_id))

        return await self._ledger.read(read)

    async def named(self, given_name: str) -> tuple[Node, User | None]:
        """Return the node with this given name, in any case, and its owner.

        Raises:
            NotFoundError: no node has this name.
        """

        def read(state: State) -> tuple[Node, User | None]:
            node_id = state.name_holder(given_name.lower())
            if node_id is None:
                raise NotFoundError("node not found")
            return _with_owner(state, state.nodes[node_id])

        return await self._ledger.read(read)

    async def with_stable_id(self, stable_id: str) -> tuple[Node, User | None]:
        """Return the node with this stable id and its owner. Costs a pass over all nodes.

        Raises:
            NotFoundError: no node has this stable id.
        """

        def read(state: State) -> tuple[Node, User | None]:
            found = next((node for node in state.nodes.values() if node.stable_id == stable_id), None)
            if found is None:
                raise NotFoundError("node not found")
            return _with_owner(state, found)

        return await self._ledger.read(read)

    async def nodes(self, wanted: NodeFilter) -> NodeList:
        """Return the nodes that match a filter, up to its limit."""

        def read(state: State) -> NodeList:
            if wanted.matches_all:
                total = state.count_after(wanted.after)
                page = tuple(islice(state.nodes_after(wanted.after), wanted.limit))
            else:
                found = list(filter(wanted.matches, state.nodes_after(wanted.after)))
                page, total = tuple(found[: wanted.limit]), len(found)
            owners = {node.user_id for node in page}
            return NodeList(page, {owner: state.users[owner] for owner in owners if owner in state.users}, total)

        return await self._ledger.read(read)

    async def subjects(self, *, routers_only: bool = False) -> Subjects:
        """Return every user, and every node or only those with advertised or approved routes."""

        def read(state: State) -> Subjects:
            nodes = [node for node in state.nodes_after(0) if not routers_only or is_router(node)]
            users = tuple(sorted(state.users.values(), key=lambda user: user.id))
            cut = frozenset(node.id for node in nodes if is_suspended(node.tags, state.users.get(node.user_id)))
            return Subjects(state.position, users, tuple(nodes), cut)

        return await self._ledger.read(read)


def is_router(node: Node) -> bool:
    """Return whether a node advertises routes or has approved ones."""
    return bool(node.advertised_routes or node.approved_routes)


def _with_owner(state: State, node: Node) -> tuple[Node, User | None]:
    return node, state.users.get(node.user_id)
