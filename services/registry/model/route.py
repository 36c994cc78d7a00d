"""Routes: reads CIDRs, pairs the two exit routes, and finds nodes with another router for a route."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from ipaddress import ip_network

from services.registry.model.errors import InvalidInputError
from services.registry.model.node import Node
from services.shared.ids import NodeId

EXIT_ROUTES = ("0.0.0.0/0", "::/0")
MAX_ROUTES = 2048


def read_routes(texts: Iterable[str]) -> tuple[str, ...]:
    """Read CIDRs: host bits masked, each once, IPv4 first, sorted.

    Raises:
        InvalidInputError: one is not a CIDR, or there are too many.

    >>> read_routes(["fd00::/8", "10.1.2.3/8"])
    ('10.0.0.0/8', 'fd00::/8')
    """
    networks = set()
    for text in texts:
        if len(text) > 50 or "/" not in text or "%" in text:
            raise InvalidInputError("a route is a CIDR such as 10.0.0.0/8")
        try:
            networks.add(ip_network(text, strict=False))
        except ValueError:
            raise InvalidInputError("a route is a CIDR such as 10.0.0.0/8") from None
        if len(networks) > MAX_ROUTES:
            raise InvalidInputError(f"more than {MAX_ROUTES} routes")
    ordered = sorted(networks, key=lambda net: (net.version, int(net.network_address), net.prefixlen))
    return tuple(str(network) for network in ordered)


def with_both_exits(routes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the routes, with both exit routes if one is among them: exit nodes serve both families (RTE-02).

    >>> with_both_exits(("0.0.0.0/0",))
    ('0.0.0.0/0', '::/0')
    """
    if any(route in EXIT_ROUTES for route in routes):
        return read_routes((*routes, *EXIT_ROUTES))
    return routes


def subnet_routes(node: Node | None) -> frozenset[str]:
    """Return the routes that need a primary: advertised and approved, without exit routes, which every router serves.

    None has no routes.
    """
    if node is None or not node.approved_routes or not node.advertised_routes:
        return frozenset()
    return frozenset(node.approved_routes).intersection(node.advertised_routes).difference(EXIT_ROUTES)


def nodes_with_alternative(nodes: Iterable[Node], away: Collection[NodeId] = ()) -> frozenset[NodeId]:
    """Return the online nodes with a route in effect that another online node could take over.

    Nodes in `away` are online by their grace only, so they cannot take over.
    """
    servers: dict[str, list[NodeId]] = {}
    for node in nodes:
        if node.online and not node.expired and node.approved_routes:
            for route in set(node.approved_routes) & set(node.advertised_routes):
                servers.setdefault(route, []).append(node.id)
    return frozenset(
        node_id
        for several in servers.values()
        for node_id in several
        if any(other not in away for other in several if other != node_id)
    )
