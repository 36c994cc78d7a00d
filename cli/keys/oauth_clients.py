"""`headscale oauth-clients`: programs that get access tokens with scopes, for /api/v2 and every other interface."""

from __future__ import annotations

import argparse
from typing import Any

from cli.frame.output import data, emit, table, when
from cli.frame.parser import Noun
from cli.frame.values import commas
from cli.keys.preauthkeys import done
from cli.link.remote import Remote


def declare(nouns: Any) -> None:
    """Add the noun and its verbs."""
    aliases = ("oauth-client", "oauthclients", "oauthclient", "oauth")
    noun = Noun(nouns, "oauth-clients", "Programs that get access tokens of an hour, with scopes", aliases)
    create = noun.verb(
        "create", _create, "Create an OAuth client; its secret is shown only once", ("c", "new"),
        "headscale oauth-clients create --scopes auth_keys,devices:core --tags tag:ci",
    )  # fmt: skip
    add_rights(create, required=True)
    noun.verb("list", _list, "List OAuth clients", ("ls", "show"))
    delete = noun.verb(
        "delete", _delete, "Delete an OAuth client; its tokens end at once", ("revoke", "remove", "del"),
        "headscale oauth-clients delete --id abcdefghijkl",
    )  # fmt: skip
    delete.add_argument("-i", "--id", required=True, help="from: headscale oauth-clients list")


def add_rights(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Add the flags that say what a credential may do."""
    example = "as in devices:core:read,policy_file; all: everything"
    parser.add_argument(
        "-s", "--scopes", "--scope", type=commas, action="extend", default=[], required=required, help=example
    )
    parser.add_argument(
        "-t", "--tags", "--tag", type=commas, action="extend", default=[], help="tags that it may give, as in tag:ci"
    )
    parser.add_argument("-d", "--description", default="", help="one line for people")


def _create(arguments: argparse.Namespace) -> None:
    from smartscale.types.v1 import key_pb2 as types

    key, secret = create_key(arguments, types.Key(kind=types.KEY_KIND_OAUTH_CLIENT))
    if arguments.output:
        emit({**data(key), "secret": secret}, arguments.output)
    else:
        print(f"id      {key.id}\nsecret  {secret}")


def create_key(arguments: argparse.Namespace, key: Any) -> tuple[Any, str]:
    """Create a key with the rights that the flags name. Returns its record and its secret."""
    from smartscale.admin.v1 import key_pb2 as pb

    key.scopes.extend(arguments.scopes)
    key.tags.extend(arguments.tags)
    key.description = arguments.description
    with Remote(arguments) as remote:
        answer = remote.keys().call("CreateKey", pb.CreateKeyRequest(key=key))
    return answer.key, answer.secret


def _list(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import key_pb2 as pb
    from smartscale.types.v1 import key_pb2 as types

    with Remote(arguments) as remote:
        keys = remote.keys().call("ListKeys", pb.ListKeysRequest(kinds=[types.KEY_KIND_OAUTH_CLIENT])).keys
    if arguments.output:
        emit([data(key) for key in keys], arguments.output)
        return
    table(
        ("ID", "Description", "Scopes", "Tags", "Created", "Last used", "By"),
        [
            (
                key.id, key.description or "-", ", ".join(key.scopes), ", ".join(key.tags) or "-",
                when(key.created_at), when(key.last_used_at), key.creator or "-",
            )
            for key in keys
        ],
        spare=("By", "Last used", "Created"),
        empty="no OAuth clients; create one: headscale oauth-clients create --scopes devices:core:read",
    )  # fmt: skip


def _delete(arguments: argparse.Namespace) -> None:
    from smartscale.admin.v1 import key_pb2 as pb

    with Remote(arguments) as remote:
        answer = remote.keys().call("DeleteKey", pb.DeleteKeyRequest(id=arguments.id))
    done(arguments, arguments.id, answer, "OAuth client deleted")
