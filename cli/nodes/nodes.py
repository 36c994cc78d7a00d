"""`headscale nodes list` and `list-routes`: lists devices; `changes` has the verbs that change them."""

from __future__ import annotations

import argparse
from typing import Any

from cli.frame.naming import NO_ROUTES, add_node, add_user
from cli.frame.output import data, emit, table
from cli.frame.parser import Noun
from cli.frame.values import commas
from cli.link.remote import Remote, login_server
from cli.link.standing import suspended_users
from cli.nodes import changes
from cli.nodes.routes import elections


def declare(nouns: Any) -> None:
    """Add the noun and its verbs."""
    noun = Noun(nouns, "nodes", "Devices in the tailnet", ("node", "machine", "machines"))
    listing = noun.verb(
        "list", _list, "List nodes", ("ls", "show"),
        "headscale nodes list --user alice\n  headscale nodes list --wide\n  headscale nodes list -o json",
    )  # fmt: skip
    listing.add_argument("node", nargs="?", metavar="NODE", default="", help="only this node: id or given name")
    add_user(listing, "only of this user")
    listing.add_argument("-t", "--tags", action="store_true", help=argparse.SUPPRESS)
    listing.add_argument("-w", "--wide", action="store_true", help="also version, system and connectivity")
    listing.add_argument("--columns", type=commas, default=[], metavar="NAME,…", help="only these columns")
    routes = noun.verb(
        "list-routes", _list_routes, "List routes of nodes", ("lsr", "routes"), "headscale nodes list-routes -i router"
    )
    add_node(routes, required=False, text="only of this node: ")
    changes.declare(noun)


def _list(arguments: argparse.Namespace) -> None:
    from cli.nodes import columns

    chosen = columns.chosen(arguments.columns, arguments.wide)
    described: dict[int, Any] = {}
    suspended: set[int] = set()
    with Remote(arguments) as remote:
        name = remote.user(arguments.user).name if arguments.user else ""
        nodes = [remote.node(arguments.node)] if arguments.node else remote.lists.nodes(name)
        if arguments.wide or any(column.described for column in chosen):
            described = remote.lists.descriptions()
        if nodes and not arguments.output:
            suspended = suspended_users(remote)
    if arguments.output:
        emit([_as_data(node, described) for node in nodes], arguments.output)
        return
    rows = [columns.Row(node, described.get(node.id), node.user.id in suspended) for node in nodes]
    table(
        [column.head for column in chosen],
        [[column.cell(row) for column in chosen] for row in rows],
        spare=[column.head for column in columns.SPARE if column in chosen and not arguments.columns],
        empty="" if rows else _next_step(arguments),
    )


def _next_step(arguments: argparse.Namespace) -> str:
    if arguments.user:
        return f"{arguments.user} has no nodes; see: headscale nodes list"
    return (
        "no nodes yet; let one in with a key: headscale preauthkeys create --user USER\n"
        f"  and on the device: tailscale up --login-server {login_server(arguments)} --auth-key KEY"
    )


def _as_data(node: Any, described: dict[int, Any]) -> Any:
    """Return a node as data, with the words of its client where they were asked for."""
    shown = data(node)
    if node.id in described:
        shown["client"] = data(described[node.id])
    return shown


def _list_routes(arguments: argparse.Namespace) -> None:
    with Remote(arguments) as remote:
        one = arguments.identifier
        nodes = [remote.node(one)] if one else remote.lists.nodes(routers_only=True)
        routers = {} if arguments.output else remote.lists.routers()
    nodes = [node for node in nodes if node.available_routes or node.approved_routes]
    if arguments.output:
        emit([data(node) for node in nodes], arguments.output)
        return
    table(
        ("ID", "Hostname", "Approved", "Available", "Serving (Primary)", "Elected"),
        [
            (
                str(node.id), node.given_name, ", ".join(node.approved_routes), ", ".join(node.available_routes),
                ", ".join(node.subnet_routes), elections(routers.get(node.id)),
            )
            for node in nodes
        ],
        empty=NO_ROUTES,
    )  # fmt: skip
