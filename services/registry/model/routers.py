"""Index of a tailnet's routers: who can serve a route, and who is its primary. Follows nodes; decides nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from services.registry.model.node import Node
from services.registry.model.route import subnet_routes
from services.shared.ids import NodeId


class RouterIndex:
    """Candidates and primary of each route. Costs nothing for a change that leaves a node's routes as they are."""

    def __init__(self) -> None:
        self.ids: set[NodeId] = set()
        """Nodes with a route that needs a primary."""
        self.unelected: set[str] = set()
        """Routes with candidates and without a primary among them."""
        self._candidates: dict[str, tuple[NodeId, ...]] = {}
        self._primaries: dict[str, NodeId] = {}

    def candidates(self, route: str) -> tuple[NodeId, ...]:
        """Return the nodes that advertise a route and have it approved."""
        return self._candidates.get(route, ())

    def primary(self, route: str) -> NodeId | None:
        """Return the node that was elected for a route, even if it is no candidate any more."""
        return self._primaries.get(route)

    def follow(self, old: Node | None, new: Node | None) -> None:
        """Take over the change of one node; None is a node that does not exist."""
        if _is_same(old, new):
            return
        before, after = subnet_routes(old), subnet_routes(new)
        for route in before - after:
            assert old is not None
            self._withdraw(route, old.id)
        for route in after - before:
            assert new is not None
            self._candidates[route] = *self._candidates.get(route, ()), new.id
        led, leads = _led(old), _led(new)
        for route in led - leads:
            if old is not None and self._primaries.get(route) == old.id:
                del self._primaries[route]
        for route in leads - led:
            assert new is not None
            self._primaries[route] = new.id
        self._note(after, new or old)
        self._check((before ^ after) | (led ^ leads))

    def _withdraw(self, route: str, node_id: NodeId) -> None:
        if others := tuple(other for other in self._candidates[route] if other != node_id):
            self._candidates[route] = others
        else:
            del self._candidates[route]

    def _note(self, routes: Collection[str], node: Node | None) -> None:
        if node is not None and routes:
            self.ids.add(node.id)
        elif node is not None:
            self.ids.discard(node.id)

    def _check(self, routes: Iterable[str]) -> None:
        for route in routes:
            candidates = self._candidates.get(route)
            if candidates and self._primaries.get(route) not in candidates:
                self.unelected.add(route)
            else:
                self.unelected.discard(route)


def _is_same(old: Node | None, new: Node | None) -> bool:
    """Whether both have the same routes; two nodes that are no routers are the usual case."""
    if old is None or new is None:
        return _is_idle(old) and _is_idle(new)
    return (
        old.approved_routes == new.approved_routes
        and old.advertised_routes == new.advertised_routes
        and old.primary_terms == new.primary_terms
    )


def _is_idle(node: Node | None) -> bool:
    return node is None or not (node.primary_terms or (node.approved_routes and node.advertised_routes))


def _led(node: Node | None) -> frozenset[str]:
    return frozenset() if node is None else frozenset(node.primary_routes)
