"""`headscale debug`: makes pending logins for trials, without a device."""

from __future__ import annotations

import argparse
from typing import Any

from cli.frame.naming import add_user
from cli.frame.output import print_result
from cli.frame.parser import Noun
from cli.frame.values import commas
from cli.link.remote import Remote


def declare(nouns: Any) -> None:
    """Add the noun and its verb."""
    noun = Noun(nouns, "debug", "Make things for trials")
    create = noun.verb(
        "create-node", _create_node, "Make a pending login, as a device does; auth register approves it", (),
        "headscale debug create-node --name web --user alice --key hskey-authreq-0123456789abcdef01234567",
    )  # fmt: skip
    create.add_argument("--name", required=True, help="hostname of the device")
    add_user(create, "its future owner", required=True)
    create.add_argument("-k", "--key", required=True, metavar="AUTH_ID", help="an unused auth id")
    create.add_argument("-r", "--route", type=commas, action="extend", default=[], help="CIDRs that it advertises")


def _create_node(arguments: argparse.Namespace) -> None:
    from headscale.v1 import node_pb2

    with Remote(arguments) as remote:
        user = remote.user(arguments.user)
        request = node_pb2.DebugCreateNodeRequest(
            user=user.name, key=arguments.key, name=arguments.name, routes=arguments.route
        )
        node = remote.call("DebugCreateNode", request).node
    register = f"headscale auth register --auth-id {arguments.key} -u {user.name}"
    print_result(arguments, node, f"{arguments.name} waits for approval: {register}")
