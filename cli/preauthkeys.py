"""`headscale preauthkeys` and `headscale apikeys`: secrets that admit nodes, and secrets for administration."""

from __future__ import annotations

import argparse
from typing import Any

from cli.errors import CommandError
from cli.output import data, emit, table, when
from cli.parser import Noun
from cli.remote import Remote
from cli.values import after, commas, confirm, duration, positive


def declare(nouns: Any) -> None:
    """Add both nouns and their verbs."""
    noun = Noun(nouns, "preauthkeys", "Secrets that admit nodes", ("preauthkey", "authkey", "pre"))
    create = noun.verb(
        "create", _create, "Make a pre-auth key; it is shown only now", ("c", "new"),
        "headscale preauthkeys create --user alice --reusable --expiration 24h",
    )  # fmt: skip
    create.add_argument("-u", "--user", "-n", "--namespace", default="", help="owner: id, name or e-mail")
    create.add_argument("--reusable", action="store_true", help="admits more than one node")
    create.add_argument("--ephemeral", action="store_true", help="its nodes are deleted when they go")
    create.add_argument("-e", "--expiration", type=duration, default=duration("1h"), help="lifetime (default 1h)")
    create.add_argument("--tags", type=commas, action="extend", default=[], help="tags that own its nodes")
    listing = noun.verb("list", _list, "List pre-auth keys, masked", ("ls", "show"))
    listing.add_argument("-u", "--user", default="", help="only of this user: id, name or e-mail")
    for name, run, text, aliases in (
        ("expire", _expire, "End a pre-auth key now", ("revoke", "exp", "e")),
        ("delete", _delete, "Forget a pre-auth key", ("del", "rm", "d")),
    ):
        verb = noun.verb(name, run, text, aliases, f"headscale preauthkeys {name} --id 3")
        verb.add_argument("-i", "--id", "--identifier", type=positive, required=True)
    _declare_api_keys(nouns)


def _create(arguments: argparse.Namespace) -> None:
    from headscale.v1 import preauthkey_pb2

    if not arguments.user and not arguments.tags:
        raise CommandError("a pre-auth key needs an owner", "say --user USER, or --tags tag:x", status=2)
    with Remote(arguments) as remote:
        answer = remote.call(
            "CreatePreAuthKey",
            preauthkey_pb2.CreatePreAuthKeyRequest(
                user=remote.user(arguments.user).id if arguments.user else 0,
                reusable=arguments.reusable,
                ephemeral=arguments.ephemeral,
                expiration=after(arguments.expiration),
                acl_tags=arguments.tags,
            ),
        )
    if arguments.output:
        emit(data(answer.pre_auth_key), arguments.output)
    else:
        print(answer.pre_auth_key.key)


def _list(arguments: argparse.Namespace) -> None:
    from headscale.v1 import preauthkey_pb2

    with Remote(arguments) as remote:
        owner = remote.user(arguments.user).id if arguments.user else 0
        keys = remote.call("ListPreAuthKeys", preauthkey_pb2.ListPreAuthKeysRequest()).pre_auth_keys
    keys = [key for key in keys if not owner or key.user.id == owner]
    if arguments.output:
        emit([data(key) for key in keys], arguments.output)
        return
    table(
        ("ID", "Key", "User", "Reusable", "Ephemeral", "Used", "Expiration", "Created", "Tags"),
        [
            (
                str(key.id), key.key, key.user.name, _yes(key.reusable), _yes(key.ephemeral), _yes(key.used),
                when(key.expiration, absent="never"), when(key.created_at), ",".join(key.acl_tags),
            )
            for key in keys
        ],
    )  # fmt: skip


def _expire(arguments: argparse.Namespace) -> None:
    from headscale.v1 import preauthkey_pb2

    with Remote(arguments) as remote:
        remote.call("ExpirePreAuthKey", preauthkey_pb2.ExpirePreAuthKeyRequest(id=arguments.id))
    _done(arguments, arguments.id, f"pre-auth key {arguments.id} has ended")


def _delete(arguments: argparse.Namespace) -> None:
    from headscale.v1 import preauthkey_pb2

    confirm(f"forget pre-auth key {arguments.id}?", arguments.force)
    with Remote(arguments) as remote:
        remote.call("DeletePreAuthKey", preauthkey_pb2.DeletePreAuthKeyRequest(id=arguments.id))
    _done(arguments, arguments.id, f"pre-auth key {arguments.id} deleted")


def _declare_api_keys(nouns: Any) -> None:
    noun = Noun(nouns, "apikeys", "Secrets for the administration API", ("apikey", "api"))
    create = noun.verb("create", _create_api_key, "Make an API key; it is shown only now", ("c", "new"))
    create.add_argument("-e", "--expiration", type=duration, default=duration("90d"), help="lifetime (default 90d)")
    noun.verb("list", _list_api_keys, "List API keys, masked", ("ls", "show"))
    for name, run, text, aliases in (
        ("expire", _expire_api_key, "End an API key now", ("revoke", "exp", "e")),
        ("delete", _delete_api_key, "Forget an API key", ("remove", "del")),
    ):
        verb = noun.verb(name, run, text, aliases, f"headscale apikeys {name} --prefix abcdefghijkl")
        which = verb.add_mutually_exclusive_group(required=True)
        which.add_argument("-p", "--prefix", default="")
        which.add_argument("-i", "--id", type=positive, default=0)


def _create_api_key(arguments: argparse.Namespace) -> None:
    from headscale.v1 import apikey_pb2

    with Remote(arguments) as remote:
        answer = remote.call("CreateApiKey", apikey_pb2.CreateApiKeyRequest(expiration=after(arguments.expiration)))
    if arguments.output:
        emit(data(answer), arguments.output)
    else:
        print(answer.api_key)


def _list_api_keys(arguments: argparse.Namespace) -> None:
    from headscale.v1 import apikey_pb2

    with Remote(arguments) as remote:
        keys = remote.call("ListApiKeys", apikey_pb2.ListApiKeysRequest()).api_keys
    if arguments.output:
        emit([data(key) for key in keys], arguments.output)
        return
    table(
        ("ID", "Prefix", "Expiration", "Created", "Last used"),
        [
            (str(key.id), key.prefix, when(key.expiration, absent="never"), when(key.created_at), when(key.last_seen))
            for key in keys
        ],
    )


def _expire_api_key(arguments: argparse.Namespace) -> None:
    from headscale.v1 import apikey_pb2

    with Remote(arguments) as remote:
        remote.call("ExpireApiKey", apikey_pb2.ExpireApiKeyRequest(prefix=arguments.prefix, id=arguments.id))
    _done(arguments, arguments.prefix or arguments.id, "the API key has ended")


def _delete_api_key(arguments: argparse.Namespace) -> None:
    from headscale.v1 import apikey_pb2

    confirm("forget this API key?", arguments.force)
    with Remote(arguments) as remote:
        remote.call("DeleteApiKey", apikey_pb2.DeleteApiKeyRequest(prefix=arguments.prefix, id=arguments.id))
    _done(arguments, arguments.prefix or arguments.id, "API key deleted")


def _done(arguments: argparse.Namespace, which: object, sentence: str) -> None:
    if arguments.output:
        emit({"id": str(which)}, arguments.output)
    else:
        print(sentence)


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"
