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
from cli.frame.output import data, emit, modern, table, when
from cli.frame.parser import Noun
from cli.frame.values import commas, positive
from cli.link.remote import Remote

_EXITS = {"0.0.0.0/0", "::/0"}


@dataclass(frozen=True, slots=True)
class NumberedRoute:
    """One prefix of one node."""

    number: int
    node: Any
    prefix: str
    router: Any = None
    """Its node's elections; None from a server that does not record them."""

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

    @property
    def term(self) -> Any:
        """The election by which the node is the primary of this route; None if it is not, or none is recorded."""
        terms = self.router.primary_terms if self.router is not None and self.primary else ()
        return next((term for term in terms if self.prefix in term.routes), None)

    @property
    def preferred(self) -> bool:
        """True if an administrator prefers the node for this route."""
        return self.router is not None and self.prefix in self.router.preferred_routes

    def shown(self) -> dict[str, Any]:
        """Return it as data: as Headscale 0.25 printed routes, or in the style of the REST API."""
        flags = {"advertised": self.advertised, "enabled": self.enabled}
        if modern():
            shown = {"id": str(self.number), "node": data(self.node), "prefix": self.prefix, **flags}
            shown |= {"isPrimary": self.primary, "preferred": self.preferred}
            if self.term is not None:
                shown |= {"since": self.term.since.ToJsonString(), "reason": _reason(self.term)}
            return shown
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

    for name, run, text in (
        ("prefer", _prefer, "Make a router the primary of a route whenever it can carry traffic"),
        ("unprefer", _unprefer, "Take a preference back; the router stays primary until it cannot carry traffic"),
    ):
        verb = noun.verb(
            name, run, text, (), f"headscale routes {name} -i router -p 10.0.0.0/8\n  headscale routes {name} -r 3"
        )
        verb.add_argument("-r", "--route", type=positive, help="number, from: headscale routes list")
        add_node(verb, required=False, text="in place of a number: ")
        verb.add_argument(
            "-p", "--prefix", type=commas, action="extend", default=[], help="CIDRs of the node; default: all"
        )


def _all(remote: Remote) -> list[NumberedRoute]:
    nodes = remote.lists.nodes(routers_only=True)
    pairs = [(node, prefix) for node in nodes for prefix in sorted({*node.available_routes, *node.approved_routes})]
    routers = remote.lists.routers()
    return [NumberedRoute(number, node, prefix, routers.get(node.id)) for number, (node, prefix) in enumerate(pairs, 1)]


def elections(router: Any) -> str:
    """Return since when and why a node is a primary: its latest election, and the number of earlier ones in force."""
    if router is None or not router.primary_terms:
        return ""
    latest = max(router.primary_terms, key=lambda term: (term.since.seconds, term.since.nanos))
    earlier = len(router.primary_terms) - 1
    return f"{when(latest.since)} ({_reason(latest)})" + (f", {earlier} earlier" if earlier else "")


def _numbered(remote: Remote, number: int) -> NumberedRoute:
    found = next((route for route in _all(remote) if route.number == number), None)
    if found is None:
        raise CommandError(f"route not found: {number}", "see: headscale routes list")
    return found


def _reason(term: Any) -> str:
    """Return why a router was elected, such as `offline`: the former primary was."""
    from smartscale.types.v1 import node_pb2

    names = node_pb2.ElectionReason.DESCRIPTOR.values_by_number
    name = names[term.reason].name if term.reason in names else str(term.reason)
    return str(name).removeprefix("ELECTION_REASON_").lower().replace("_", " ")


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
        ("ID", "Node", "Prefix", "Advertised", "Enabled", "Primary", "Since", "Why", "Preferred"),
        [
            (
                str(route.number), route.node.given_name, route.prefix,
                *(str(flag).lower() for flag in (route.advertised, route.enabled, route.primary)),
                when(route.term.since) if route.term is not None else "",
                _reason(route.term) if route.term is not None else "", "yes" if route.preferred else "",
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
        route = _numbered(remote, arguments.route)
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


def _prefer(arguments: argparse.Namespace) -> None:
    _set_preference(arguments, undo=False)


def _unprefer(arguments: argparse.Namespace) -> None:
    _set_preference(arguments, undo=True)


def _set_preference(arguments: argparse.Namespace, *, undo: bool) -> None:
    from smartscale.admin.v1 import node_pb2

    if bool(arguments.route) == bool(arguments.identifier) or (arguments.route and arguments.prefix):
        raise CommandError("give either a number (-r) or a node (-i), with or without --prefix", status=2)
    with Remote(arguments) as remote:
        if arguments.route:
            route = _numbered(remote, arguments.route)
            node, prefixes = route.node, [route.prefix]
        else:
            node, prefixes = remote.node(arguments.identifier), arguments.prefix
        request = node_pb2.PreferRoutesRequest(node=str(node.id), routes=prefixes, undo=undo)
        router = remote.in_pages().call("PreferRoutes", request).router
    if arguments.output:
        emit(data(router), arguments.output)
        return
    if undo:
        print(f"{node.given_name} is no longer preferred" + (f" for {', '.join(prefixes)}" if prefixes else ""))
        return
    print(f"{node.given_name} is preferred for {', '.join(prefixes or router.preferred_routes)}")
    led = {prefix for term in router.primary_terms for prefix in term.routes}
    if not led.issuperset(prefixes or router.preferred_routes):
        print("it cannot carry traffic now, and becomes the primary when it can")
