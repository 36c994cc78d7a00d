"""`headscale preauthkeys`: secrets that admit nodes."""

from __future__ import annotations

import argparse
from typing import Any

from cli.frame.errors import CommandError
from cli.frame.naming import add_user
from cli.frame.output import data, emit, modern, table, when
from cli.frame.parser import Noun
from cli.frame.values import after, commas, duration, positive
from cli.link.remote import Remote

_MASK = "***"


def declare(nouns: Any) -> None:
    """Add the noun and its verbs."""
    noun = Noun(nouns, "preauthkeys", "Secrets that admit nodes", ("preauthkey", "authkey", "pre"))
    create = noun.verb(
        "create", _create, "Create a pre-auth key; it is shown only once", ("c", "new"),
        "headscale preauthkeys create --user alice --reusable --expiration 24h\n"
        "  headscale preauthkeys create --tags tag:server",
    )  # fmt: skip
    add_user(create, "owner")
    create.add_argument("--reusable", action="store_true", help="admits more than one node")
    create.add_argument("--ephemeral", action="store_true", help="its nodes are deleted soon after they disconnect")
    create.add_argument("-e", "--expiration", type=duration, default=None, help="lifetime, as in 30m or 90d (1h)")
    create.add_argument("--tags", type=commas, action="extend", default=[], help="tags that own its nodes")
    create.add_argument(
        "--ip", type=commas, action="extend", default=[], help="addresses of its node: one IPv4, one IPv6, or both"
    )
    listing = noun.verb("list", _list, "List pre-auth keys, masked", ("ls", "show"), "headscale preauthkeys list")
    add_user(listing, "only of this user")
    for name, run, text, aliases in (
        ("expire", _expire, "Expire a pre-auth key now", ("revoke", "exp", "e")),
        ("delete", _delete, "Delete a pre-auth key", ("del", "rm", "d")),
    ):
        verb = noun.verb(name, run, text, aliases, f"headscale preauthkeys {name} --id 3")
        verb.add_argument("key", nargs="?", metavar="KEY", default="", help="the key itself, or its id")
        verb.add_argument(
            "-i", "--id", "--identifier", type=positive, default=0, help="from: headscale preauthkeys list"
        )
        add_user(verb, "user who owns the key")


def _create(arguments: argparse.Namespace) -> None:
    from headscale.v1 import preauthkey_pb2

    if not arguments.user and not arguments.tags:
        raise CommandError("a pre-auth key needs an owner", "add --user USER, or --tags tag:x", status=2)
    if arguments.ip:
        _create_with_address(arguments)
        return
    with Remote(arguments) as remote:
        answer = remote.call(
            "CreatePreAuthKey",
            preauthkey_pb2.CreatePreAuthKeyRequest(
                user=remote.user(arguments.user).id if arguments.user else 0,
                reusable=arguments.reusable,
                ephemeral=arguments.ephemeral,
                expiration=after(arguments.expiration or duration("1h")),
                acl_tags=arguments.tags,
            ),
        )
    if arguments.output:
        emit(data(answer.pre_auth_key), arguments.output)
    else:
        print(answer.pre_auth_key.key)


def _create_with_address(arguments: argparse.Namespace) -> None:
    """Create a key whose node gets the named addresses, which Headscale's own call cannot carry."""
    from smartscale.admin.v1 import key_pb2 as pb
    from smartscale.types.v1 import key_pb2 as types

    chosen = {"ipv6" if ":" in address else "ipv4": address for address in arguments.ip}
    if len(chosen) < len(arguments.ip):
        raise CommandError("a node has one IPv4 and one IPv6 address", "give --ip once for each", status=2)
    with Remote(arguments) as remote:
        key = types.Key(
            kind=types.KEY_KIND_AUTH,
            user_id=remote.user(arguments.user).id if arguments.user else 0,
            reusable=arguments.reusable,
            ephemeral=arguments.ephemeral,
            expires_at=after(arguments.expiration or duration("1h")),
            tags=arguments.tags,
            ipv4=chosen.get("ipv4", ""),
            ipv6=chosen.get("ipv6", ""),
        )
        answer = remote.keys().call("CreateKey", pb.CreateKeyRequest(key=key))
    if arguments.output:
        emit({**data(answer.key), "key": answer.secret}, arguments.output)
    else:
        print(answer.secret)


def _list(arguments: argparse.Namespace) -> None:
    with Remote(arguments) as remote:
        keys = _keys(remote, arguments.user)
    if arguments.output:
        emit([data(key) for key in keys], arguments.output)
        return
    table(
        ("ID", "Key/Prefix", "Reusable", "Ephemeral", "Used", "Expiration", "Created", "Owner"),
        [
            (
                str(key.id), key.key, _truth(key.reusable), _truth(key.ephemeral), _truth(key.used),
                when(key.expiration, absent="never"), when(key.created_at),
                ",".join(key.acl_tags) or key.user.name or "-",
            )
            for key in keys
        ],
        spare=("Created", "Used", "Ephemeral"),
        empty="no pre-auth keys; create one: headscale preauthkeys create --user USER",
    )  # fmt: skip


def _keys(remote: Remote, user: str) -> list[Any]:
    from headscale.v1 import preauthkey_pb2

    owner = remote.user(user).id if user else 0
    keys = remote.call("ListPreAuthKeys", preauthkey_pb2.ListPreAuthKeysRequest()).pre_auth_keys
    return [key for key in keys if not owner or key.user.id == owner]


def _which(arguments: argparse.Namespace, remote: Remote) -> int:
    """Return the id of the named key: given by its id, or by the key itself, as until Headscale 0.27.

    Raises:
        CommandError: there is none, or none is named.
    """
    text = str(arguments.id or "") or arguments.key
    if not text or (arguments.id and arguments.key):
        raise CommandError("which key?", "add --id ID, from: headscale preauthkeys list", status=2)
    if arguments.id and not arguments.user:
        return int(arguments.id)
    for key in _keys(remote, arguments.user):
        if text == str(key.id) or (not text.isdigit() and text.startswith(key.key.removesuffix(_MASK))):
            return int(key.id)
    raise CommandError("pre-auth key not found", "see: headscale preauthkeys list")


def _expire(arguments: argparse.Namespace) -> None:
    from headscale.v1 import preauthkey_pb2

    with Remote(arguments) as remote:
        number = _which(arguments, remote)
        answer = remote.call("ExpirePreAuthKey", preauthkey_pb2.ExpirePreAuthKeyRequest(id=number))
    done(arguments, number, answer, f"pre-auth key {number} has expired")


def _delete(arguments: argparse.Namespace) -> None:
    from headscale.v1 import preauthkey_pb2

    with Remote(arguments) as remote:
        number = _which(arguments, remote)
        answer = remote.call("DeletePreAuthKey", preauthkey_pb2.DeletePreAuthKeyRequest(id=number))
    done(arguments, number, answer, f"pre-auth key {number} deleted")


def done(arguments: argparse.Namespace, which: object, answer: Any, sentence: str) -> None:
    """Print that a key was changed."""
    if arguments.output:
        emit({"id": str(which)} if modern() else data(answer), arguments.output)
    else:
        print(sentence)


def _truth(flag: bool) -> str:
    return "true" if flag else "false"
