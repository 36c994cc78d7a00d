"""The verbs of `headscale nodes` that change a node."""

from __future__ import annotations

import argparse

from cli.frame.errors import CommandError
from cli.frame.naming import add_node, add_user
from cli.frame.output import data, emit, modern, print_result, when
from cli.frame.parser import Noun
from cli.frame.values import commas, confirm, moment, timestamp
from cli.link.remote import Remote


def declare(noun: Noun) -> None:
    """Add the verbs."""
    register = noun.verb(
        "register", _register, "Approve a pending login; the same as auth register", (),
        "headscale nodes register --user alice --key hskey-authreq-0123456789abcdef01234567",
    )  # fmt: skip
    add_user(register, "owner", required=True)
    register.add_argument("-k", "--key", required=True, metavar="AUTH_ID", help="from the page that the client opened")
    expire = noun.verb(
        "expire", _expire, "Expire a node's key: its user must sign in again", ("logout", "exp", "e"),
        "headscale nodes expire -i 4\n  headscale nodes expire -i 4 --expiry 2027-01-31T12:00:00Z",
    )  # fmt: skip
    add_node(expire)
    expire.add_argument("-e", "--expiry", type=moment, default=None, help="when, in RFC 3339; default: now")
    expire.add_argument("-d", "--disable", action="store_true", help="never expire")
    rename = noun.verb("rename", _rename, "Give a node another name", (), "headscale nodes rename -i 4 printer")
    add_node(rename)
    rename.add_argument("new_name", metavar="NEW_NAME", help="a DNS label")
    add_node(noun.verb("delete", _delete, "Delete a node", ("del",), "headscale nodes delete -i 4"))
    tag = noun.verb("tag", _tag, "Replace a node's tags", ("tags", "t"), "headscale nodes tag -i 4 -t tag:server")
    add_node(tag)
    tag.add_argument("-t", "--tags", type=commas, action="extend", default=[], required=True, help="tag:a,tag:b")
    approve = noun.verb(
        "approve-routes", _approve_routes, "Replace a node's approved routes", (),
        "headscale nodes approve-routes -i router -r 10.0.0.0/8,192.168.0.0/16",
    )  # fmt: skip
    add_node(approve)
    approve.add_argument("-r", "--routes", type=commas, action="extend", default=[], help="CIDRs; empty: none")
    address = noun.verb(
        "set-ip", _set_ip, "Give a node addresses that it keeps", (),
        "headscale nodes set-ip -i printer 100.64.0.9\n  headscale nodes set-ip -i 4 100.64.0.9 fd7a:115c:a1e0::9",
    )  # fmt: skip
    add_node(address)
    address.add_argument("addresses", nargs="+", metavar="ADDRESS", help="IPv4 or IPv6, or one of each")
    noun.verb("backfillips", _backfill, "Give every node an address of each configured prefix")
    key = noun.verb(
        "key", _key, "Make a node replace its key at its next sign-in", (), "headscale nodes key rotate --id 4"
    )
    key.add_argument("action", choices=("rotate",), metavar="rotate", help="the only action")
    add_node(key)
    move = noun.verb(
        "move", _move, "Refused: nodes are not moved between users; names the alternatives", ("mv",),
        "headscale nodes move -i 4 -u bob",
    )  # fmt: skip
    add_node(move)
    add_user(move, "new owner", required=True)


def _register(arguments: argparse.Namespace) -> None:
    from headscale.v1 import node_pb2

    with Remote(arguments) as remote:
        user = remote.user(arguments.user)
        answer = remote.call("RegisterNode", node_pb2.RegisterNodeRequest(user=user.name, key=arguments.key))
    print_result(arguments, answer.node, f"node {answer.node.given_name} registered")


def _expire(arguments: argparse.Namespace) -> None:
    from headscale.v1 import node_pb2

    if arguments.disable and arguments.expiry:
        raise CommandError("--expiry and --disable exclude each other", status=2)
    with Remote(arguments) as remote:
        node = remote.node(arguments.identifier)
        request = node_pb2.ExpireNodeRequest(node_id=node.id, disable_expiry=arguments.disable)
        if arguments.expiry:
            request.expiry.CopyFrom(timestamp(arguments.expiry))
        answer = remote.call("ExpireNode", request)
    end = "never ends" if arguments.disable else f"ends {when(answer.node.expiry)} UTC"
    print_result(arguments, answer.node, f"the key of node {node.given_name} {end}")


def _key(arguments: argparse.Namespace) -> None:
    """Expire the key: only a client can make its key, and it does so at its next sign-in."""
    from headscale.v1 import node_pb2

    with Remote(arguments) as remote:
        node = remote.node(arguments.identifier)
        answer = remote.call("ExpireNode", node_pb2.ExpireNodeRequest(node_id=node.id))
    print_result(
        arguments,
        answer.node,
        f"the key of node {node.given_name} is expired: it makes a new one when its user signs in again",
    )


def _rename(arguments: argparse.Namespace) -> None:
    from headscale.v1 import node_pb2

    with Remote(arguments) as remote:
        node = remote.node(arguments.identifier)
        answer = remote.call("RenameNode", node_pb2.RenameNodeRequest(node_id=node.id, new_name=arguments.new_name))
    print_result(arguments, answer.node, f"node {node.given_name} is now {answer.node.given_name}")


def _delete(arguments: argparse.Namespace) -> None:
    from headscale.v1 import node_pb2

    with Remote(arguments) as remote:
        node = remote.node(arguments.identifier)
        confirm(f"delete node {node.given_name} (id {node.id})?", arguments.force)
        remote.call("DeleteNode", node_pb2.DeleteNodeRequest(node_id=node.id))
    if arguments.output and not modern():
        emit({"Result": "Node deleted"}, arguments.output)
    else:
        print_result(arguments, node, f"node {node.given_name} deleted")


def _set_ip(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import node_pb2

    with Remote(arguments) as remote:
        node = remote.node(arguments.identifier)
        request = node_pb2.SetAddressesRequest(node=str(node.id), addresses=arguments.addresses)
        answer = remote.in_pages().call("SetAddresses", request)
    print_result(arguments, answer.node, f"node {node.given_name} has {' and '.join(answer.node.ip_addresses)}")


def _tag(arguments: argparse.Namespace) -> None:
    from headscale.v1 import node_pb2

    with Remote(arguments) as remote:
        node = remote.node(arguments.identifier)
        answer = remote.call("SetTags", node_pb2.SetTagsRequest(node_id=node.id, tags=arguments.tags))
    print_result(arguments, answer.node, f"node {answer.node.given_name} has the tags {', '.join(answer.node.tags)}")


def _approve_routes(arguments: argparse.Namespace) -> None:
    from headscale.v1 import node_pb2

    with Remote(arguments) as remote:
        node = remote.node(arguments.identifier)
        request = node_pb2.SetApprovedRoutesRequest(node_id=node.id, routes=arguments.routes)
        answer = remote.call("SetApprovedRoutes", request)
    approved = ", ".join(answer.node.approved_routes) or "none"
    print_result(arguments, answer.node, f"approved routes of {answer.node.given_name}: {approved}")


def _backfill(arguments: argparse.Namespace) -> None:
    from headscale.v1 import node_pb2

    confirm("give every node an address of each configured prefix?", arguments.force)
    with Remote(arguments) as remote:
        answer = remote.call("BackfillNodeIPs", node_pb2.BackfillNodeIPsRequest(confirmed=True))
    if arguments.output:
        emit(data(answer), arguments.output)
    else:
        print("\n".join(answer.changes) or "nothing to do")


def _move(arguments: argparse.Namespace) -> None:
    """Refuse, as the server does: the old user would still hold the node's key."""
    with Remote(arguments) as remote:
        node, user = remote.node(arguments.identifier), remote.user(arguments.user)
    raise CommandError(
        f"node {node.given_name} was not moved: nodes cannot be moved between users",
        f"sign in on it again as {user.name}, or give it tags: headscale nodes tag -i {node.id} -t tag:…",
    )
