"""`headscale routes`: single routes of nodes, as Headscale up to 0.25 counted them.

A route's number is its place among all routes, ordered by node and then by prefix. It changes when nodes advertise
others, so commands that change something print the route that they changed.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from cli.frame.errors import CommandError
from cli.frame.naming import NO_ROUTES, add_node
from cli.frame.output import data, emit, modern, table
from cli.frame.parser import Noun
from cli.frame.values import positive
from cli.link.remote import Remote

_EXITS = {"0.0.0.0/0", "::/0"}


@dataclass(frozen=True, slots=True)
class Route:
    """One prefix of one node."""

    number: int
    node: Any
    prefix: str

    @property
    def enabled(self) -> bool:
        """True if it is approved."""
        return self.prefix in self.node.approved_routes

    @property
    def advertised(self) -> bool:
        """True if the node advertises it."""
        return self.prefix in self.node.available_routes

    @property
    def primary(self) -> bool:
        """True if the node is the primary of this route. Exit routes have none."""
        return self.prefix in self.node.subnet_routes and self.prefix not in _EXITS

    def shown(self) -> dict[str, Any]:
        """Return it as data: as Headscale 0.25 printed routes, or in the style of the REST API."""
        flags = {"advertised": self.advertised, "enabled": self.enabled}
        if modern():
            shown = {"id": str(self.number), "node": data(self.node), "prefix": self.prefix, **flags}
            return {**shown, "isPrimary": self.primary}
        raised = {name: True for name, flag in {**flags, "is_primary": self.primary}.items() if flag}
        return {"id": self.number, "node": data(self.node), "prefix": self.prefix, **raised}


def declare(nouns: Any) -> None:
    """Add the noun and its verbs."""
    noun = Noun(nouns, "routes", "Routes that nodes advertise, one by one", ("route", "r"))
    listing = noun.verb("list", _list, "List routes", ("ls", "show"), "headscale routes list -i router")
    add_node(listing, required=False, text="only of this node: ")
    for name, run, text in (
        ("enable", _enable, "Approve a route"),
        ("disable", _disable, "Withdraw the approval of a route"),
        ("delete", _disable, "The same as disable: a route exists as long as its node advertises it"),
    ):
        verb = noun.verb(name, run, text, (), f"headscale routes {name} -r 3")
        verb.add_argument("-r", "--route", type=positive, required=True, help="number, from: headscale routes list")


def _all(remote: Remote) -> list[Route]:
    nodes = remote.lists.nodes(routers_only=True)
    pairs = [(node, prefix) for node in nodes for prefix in sorted({*node.available_routes, *node.approved_routes})]
    return [Route(number, node, prefix) for number, (node, prefix) in enumerate(pairs, 1)]


def _list(arguments: argparse.Namespace) -> None:
    with Remote(arguments) as remote:
        routes = _all(remote)
        if arguments.identifier:
            wanted = remote.node(arguments.identifier).id
            routes = [route for route in routes if route.node.id == wanted]
    if arguments.output:
        emit([route.shown() for route in routes], arguments.output)
        return
    table(
        ("ID", "Node", "Prefix", "Advertised", "Enabled", "Primary"),
        [
            (
                str(route.number), route.node.given_name, route.prefix,
                *(str(flag).lower() for flag in (route.advertised, route.enabled, route.primary)),
            )
            for route in routes
        ],
        empty=NO_ROUTES,
    )  # fmt: skip


def _enable(arguments: argparse.Namespace) -> None:
    _change(arguments, approve=True)


def _disable(arguments: argparse.Namespace) -> None:
    _change(arguments, approve=False)


def _change(arguments: argparse.Namespace, *, approve: bool) -> None:
    from headscale.v1 import node_pb2

    with Remote(arguments) as remote:
        found = [route for route in _all(remote) if route.number == arguments.route]
        if not found:
            raise CommandError(f"route not found: {arguments.route}", "see: headscale routes list")
        route = found[0]
        # The server approves both families of an exit route together.
        prefixes = _EXITS if route.prefix in _EXITS else {route.prefix}
        approved = set(route.node.approved_routes)
        approved = approved | prefixes if approve else approved - prefixes
        request = node_pb2.SetApprovedRoutesRequest(node_id=route.node.id, routes=sorted(approved))
        answer = remote.call("SetApprovedRoutes", request)
    if arguments.output:
        emit(data(answer.node), arguments.output)
    else:
        print(f"{route.prefix} of {route.node.given_name} is {'approved' if approve else 'no longer approved'}")
