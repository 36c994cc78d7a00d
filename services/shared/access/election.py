"""Orders the candidates of each route: the router that the registry elected first, then the oldest. Elects none. Pure.

Routes that nobody was elected for (while an election is on its way) are served by the oldest router that is online,
else by the oldest. Nodes that cannot carry traffic take no part: nodes of suspended users are not known here, and
`services.shared.inventory` gives nodes with an expired key no approved route, because clients drop such peers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import TypeVar

from services.shared.access.inputs import AccessNode
from services.shared.access.ranges import EXIT_ROUTES

T = TypeVar("T")


def seniority(node: AccessNode) -> tuple[bool, int, int]:
    """Return the key by which routers that nobody elected are ordered; the first serves."""
    return not node.online, node.created, node.id


def order_by_election(servers: dict[str, list[T]], node_of: Callable[[T], AccessNode]) -> None:
    """Sort the candidates of each route in place: the elected one first, then by seniority."""
    elected: dict[str, int] = {}
    for candidates in servers.values():
        candidates.sort(key=lambda one: seniority(node_of(one)))
    for node in {node_of(one).id: node_of(one) for candidates in servers.values() for one in candidates}.values():
        for route in node.primary_routes:
            elected.setdefault(route, node.id)
    for route in elected.keys() & servers.keys():
        candidates = servers[route]
        first = next((place for place, one in enumerate(candidates) if node_of(one).id == elected[route]), 0)
        candidates.insert(0, candidates.pop(first))


def served_routes(nodes: Iterable[AccessNode]) -> dict[int, list[str]]:
    """Return the routes that each node serves, by node id: prefixes it is elected for, and all its exit routes."""
    servers: dict[str, list[AccessNode]] = defaultdict(list)
    for node in nodes:
        for route in set(node.approved_routes).intersection(node.advertised_routes):
            servers[route].append(node)
    order_by_election(servers, lambda node: node)
    found: dict[int, list[str]] = defaultdict(list)
    for route, candidates in servers.items():
        for node in candidates if route in EXIT_ROUTES else candidates[:1]:
            found[node.id].append(route)
    return found
