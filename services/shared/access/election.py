"""Election of primary routers: of those with the route approved, the oldest online one, else the oldest. Pure.

Nodes that cannot carry traffic take no part: nodes of suspended users are not known here, and
`services.shared.inventory` gives nodes with an expired key no approved route, because clients drop such peers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from services.shared.access.inputs import AccessNode
from services.shared.access.ranges import EXIT_ROUTES


def seniority(node: AccessNode) -> tuple[bool, int, int]:
    """Return the key by which routers of one prefix are ordered; the first is elected."""
    return not node.online, node.created, node.id


def served_routes(nodes: Iterable[AccessNode]) -> dict[int, list[str]]:
    """Return the routes that each node serves, by node id: prefixes it is elected for, and all its exit routes."""
    servers: dict[str, list[AccessNode]] = defaultdict(list)
    for node in nodes:
        for route in set(node.approved_routes).intersection(node.advertised_routes):
            servers[route].append(node)
    found: dict[int, list[str]] = defaultdict(list)
    for route, candidates in servers.items():
        for node in candidates if route in EXIT_ROUTES else (min(candidates, key=seniority),):
            found[node.id].append(route)
    return found
