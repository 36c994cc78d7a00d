"""`headscale nodes` and `headscale auth`: devices, and logins that wait to become devices."""

from __future__ import annotations

import argparse
import time
from typing import Any

from cli.errors import CommandError
from cli.output import data, emit, table, when
from cli.parser import Noun
from cli.remote import Remote
from cli.values import commas, confirm, moment, timestamp


def declare(nouns: Any) -> None:
    """Add both nouns and their verbs."""
    noun = Noun(nouns, "nodes", "Devices in the tailnet", ("node", "machine", "machines"))
    listing = noun.verb("list", _list, "List nodes", ("ls", "show"), "headscale nodes list --user alice")
    listing.add_argument("-u", "--user", "-n", "--namespace", default="", help="only of this user: id, name or e-mail")
    listing.add_argument("-t", "--tags", action="store_true", help=argparse.SUPPRESS)
    routes = noun.verb("list-routes", _list_routes, "List routes of nodes", ("lsr", "routes"))
    _which(routes, required=False)
    register = noun.verb("register", _register, "Approve a login (older spelling of: auth register)")
    register.add_argument("-u", "--user", required=True, help="owner: id, name or e-mail")
    register.add_argument("-k", "--key", required=True, metavar="AUTH_ID")
    expire = noun.verb("expire", _expire, "End a node's key: its user must sign in again", ("logout", "exp", "e"))
    _which(expire)
    expire.add_argument("-e", "--expiry", type=moment, default=None, help="when, in RFC 3339 (default now)")
    expire.add_argument("-d", "--disable", action="store_true", help="never, instead")
    rename = noun.verb("rename", _rename, "Give a node another name", (), "headscale nodes rename -i 4 printer")
    _which(rename)
    rename.add_argument("new_name")
    _which(noun.verb("delete", _delete, "Delete a node", ("del",), "headscale nodes delete -i 4"))
    tag = noun.verb("tag", _tag, "Replace a node's tags", ("tags", "t"), "headscale nodes tag -i 4 -t tag:server")
    _which(tag)
    tag.add_argument("-t", "--tags", type=commas, action="extend", default=[], required=True)
    approve = noun.verb("approve-routes", _approve_routes, "Replace a node's approved routes")
    _which(approve)
    approve.add_argument("-r", "--routes", type=commas, action="extend", default=[], help="CIDRs; empty: none")
    noun.verb("backfillips", _backfill, "Give nodes the addresses that they lack")
    key = noun.verb("key", _key, "Let a node make itself a new key", (), "headscale nodes key rotate --id 4")
    key.add_argument("action", choices=("rotate",))
    _which(key)
    _declare_auth(nouns)


def _which(parser: argparse.ArgumentParser, required: bool = True) -> None:
    parser.add_argument("-i", "--identifier", "--id", default="", required=required, help="id or given name")


def _declare_auth(nouns: Any) -> None:
    noun = Noun(nouns, "auth", "Logins that wait for an administrator")
    register = noun.verb(
        "register", _auth_register, "Let the device of a login in, for a user", (),
        "headscale auth register --auth-id hskey-authreq-… --user alice",
    )  # fmt: skip
    register.add_argument("-u", "--user", required=True, help="owner: id, name or e-mail")
    register.add_argument("--auth-id", required=True)
    for name, run, text in (
        ("approve", _auth_approve, "Say yes to what waits for it"),
        ("reject", _auth_reject, "Refuse a login"),
    ):
        noun.verb(name, run, text).add_argument("--auth-id", required=True)


def _find(remote: Remote, text: str) -> Any:
    from headscale.v1 import node_pb2

    nodes = remote.call("ListNodes", node_pb2.ListNodesRequest()).nodes
    for node in nodes:
        if text == str(node.id):
            return node
    for node in nodes:
        if text == node.given_name:
            return node
    raise CommandError(f"node not found: {text!r}", "see: headscale nodes list")


def _list(arguments: argparse.Namespace) -> None:
    from headscale.v1 import node_pb2

    with Remote(arguments) as remote:
        name = remote.user(arguments.user).name if arguments.user else ""
        nodes = remote.call("ListNodes", node_pb2.ListNodesRequest(user=name)).nodes
    if arguments.output:
        emit([data(node) for node in nodes], arguments.output)
        return
    now = time.time()
    table(
        (
            "ID", "Hostname", "Name", "MachineKey", "NodeKey", "User", "Tags", "IP addresses", "Ephemeral",
            "Last seen", "Expiration", "Connected", "Expired",
        ),
        [
            (
                str(node.id), node.name, node.given_name, _short(node.machine_key), _short(node.node_key),
                node.user.name, ",".join(node.tags), ", ".join(node.ip_addresses),
                "true" if node.pre_auth_key.ephemeral else "false",
                when(node.last_seen), when(node.expiry, absent="never"),
                "online" if node.online else "offline",
                "yes" if node.HasField("expiry") and node.expiry.seconds <= now else "no",
            )
            for node in nodes
        ],
    )  # fmt: skip


def _list_routes(arguments: argparse.Namespace) -> None:
    from headscale.v1 import node_pb2

    with Remote(arguments) as remote:
        if arguments.identifier:
            nodes = [_find(remote, arguments.identifier)]
        else:
            nodes = list(remote.call("ListNodes", node_pb2.ListNodesRequest()).nodes)
    nodes = [node for node in nodes if node.available_routes or node.approved_routes]
    if arguments.output:
        emit([data(node) for node in nodes], arguments.output)
        return
    table(
        ("ID", "Name", "Approved", "Available", "Serving"),
        [
            (
                str(node.id), node.given_name, ", ".join(node.approved_routes), ", ".join(node.available_routes),
                ", ".join(node.subnet_routes),
            )
            for node in nodes
        ],
    )  # fmt: skip


def _register(arguments: argparse.Namespace) -> None:
    from headscale.v1 import node_pb2

    with Remote(arguments) as remote:
        user = remote.user(arguments.user)
        answer = remote.call("RegisterNode", node_pb2.RegisterNodeRequest(user=user.name, key=arguments.key))
    _print(arguments, answer.node, f"node {answer.node.given_name} registered")


def _auth_register(arguments: argparse.Namespace) -> None:
    from headscale.v1 import auth_pb2

    with Remote(arguments) as remote:
        user = remote.user(arguments.user)
        answer = remote.call("AuthRegister", auth_pb2.AuthRegisterRequest(user=user.name, auth_id=arguments.auth_id))
    _print(arguments, answer.node, f"node {answer.node.given_name} registered")


def _auth_approve(arguments: argparse.Namespace) -> None:
    from headscale.v1 import auth_pb2

    with Remote(arguments) as remote:
        remote.call("AuthApprove", auth_pb2.AuthApproveRequest(auth_id=arguments.auth_id))
    print(f"{arguments.auth_id} approved")


def _auth_reject(arguments: argparse.Namespace) -> None:
    from headscale.v1 import auth_pb2

    with Remote(arguments) as remote:
        remote.call("AuthReject", auth_pb2.AuthRejectRequest(auth_id=arguments.auth_id))
    if arguments.output:
        emit({"authId": arguments.auth_id}, arguments.output)
    else:
        print(f"{arguments.auth_id} refused")


def _expire(arguments: argparse.Namespace) -> None:
    from headscale.v1 import node_pb2

    if arguments.disable and arguments.expiry:
        raise CommandError("--expiry and --disable exclude each other", status=2)
    with Remote(arguments) as remote:
        node = _find(remote, arguments.identifier)
        request = node_pb2.ExpireNodeRequest(node_id=node.id, disable_expiry=arguments.disable)
        if arguments.expiry:
            request.expiry.CopyFrom(timestamp(arguments.expiry))
        answer = remote.call("ExpireNode", request)
    told = "never ends" if arguments.disable else f"ends {when(answer.node.expiry)} UTC"
    _print(arguments, answer.node, f"the key of node {node.given_name} {told}")


def _key(arguments: argparse.Namespace) -> None:
    """Only a client can make its key: ending the old one is what makes it do so, at its next contact."""
    from headscale.v1 import node_pb2

    with Remote(arguments) as remote:
        node = _find(remote, arguments.identifier)
        answer = remote.call("ExpireNode", node_pb2.ExpireNodeRequest(node_id=node.id))
    _print(
        arguments,
        answer.node,
        f"the key of node {node.given_name} has ended: it makes a new one when its user signs in again",
    )


def _rename(arguments: argparse.Namespace) -> None:
    from headscale.v1 import node_pb2

    with Remote(arguments) as remote:
        node = _find(remote, arguments.identifier)
        answer = remote.call("RenameNode", node_pb2.RenameNodeRequest(node_id=node.id, new_name=arguments.new_name))
    _print(arguments, answer.node, f"node {node.given_name} is now {answer.node.given_name}")


def _delete(arguments: argparse.Namespace) -> None:
    from headscale.v1 import node_pb2

    with Remote(arguments) as remote:
        node = _find(remote, arguments.identifier)
        confirm(f"delete node {node.given_name} (id {node.id})?", arguments.force)
        remote.call("DeleteNode", node_pb2.DeleteNodeRequest(node_id=node.id))
    _print(arguments, node, f"node {node.given_name} deleted")


def _tag(arguments: argparse.Namespace) -> None:
    from headscale.v1 import node_pb2

    with Remote(arguments) as remote:
        node = _find(remote, arguments.identifier)
        answer = remote.call("SetTags", node_pb2.SetTagsRequest(node_id=node.id, tags=arguments.tags))
    _print(arguments, answer.node, f"node {answer.node.given_name} has the tags {', '.join(answer.node.tags)}")


def _approve_routes(arguments: argparse.Namespace) -> None:
    from headscale.v1 import node_pb2

    with Remote(arguments) as remote:
        node = _find(remote, arguments.identifier)
        request = node_pb2.SetApprovedRoutesRequest(node_id=node.id, routes=arguments.routes)
        answer = remote.call("SetApprovedRoutes", request)
    approved = ", ".join(answer.node.approved_routes) or "none"
    _print(arguments, answer.node, f"approved routes of {answer.node.given_name}: {approved}")


def _backfill(arguments: argparse.Namespace) -> None:
    from headscale.v1 import node_pb2

    confirm("give every node an address of each configured prefix?", arguments.force)
    with Remote(arguments) as remote:
        answer = remote.call("BackfillNodeIPs", node_pb2.BackfillNodeIPsRequest(confirmed=True))
    if arguments.output:
        emit({"changes": list(answer.changes)}, arguments.output)
    else:
        print("\n".join(answer.changes) or "nothing to do")


def _print(arguments: argparse.Namespace, node: Any, sentence: str) -> None:
    if arguments.output:
        emit(data(node), arguments.output)
    else:
        print(sentence)


def _short(key: str) -> str:
    prefix, _, digits = key.partition(":")
    return f"[{digits[:5]}]" if prefix else key
