"""`headscale apikeys`: secrets for the administration API."""

from __future__ import annotations

import argparse
from typing import Any

from cli.frame.output import data, emit, table, when
from cli.frame.parser import Noun
from cli.frame.values import after, duration, positive
from cli.keys.oauth_clients import add_rights, create_key
from cli.keys.preauthkeys import done
from cli.link.remote import Remote

_KEY, _MASK = "hskey-api-", "***"
_PREFIX_LENGTH = 12
"""Letters in a prefix of today's form; those of Headscale up to 0.27 are shorter, and its keys have no `hskey-api-`."""


def declare(nouns: Any) -> None:
    """Add the noun and its verbs."""
    noun = Noun(nouns, "apikeys", "Secrets for the administration API", ("apikey", "api"))
    create = noun.verb(
        "create", _create, "Create an API key; it is shown only once", ("c", "new"),
        "headscale apikeys create --expiration 30d\n  headscale apikeys create --scopes devices:core:read",
    )  # fmt: skip
    create.add_argument("-e", "--expiration", type=duration, default=None, help="lifetime, as in 24h or 1y (90d)")
    add_rights(create, required=False)
    noun.verb("list", _list, "List API keys, masked", ("ls", "show"))
    for name, run, text, aliases in (
        ("expire", _expire, "Expire an API key now", ("revoke", "exp", "e")),
        ("delete", _delete, "Delete an API key", ("remove", "del")),
    ):
        verb = noun.verb(name, run, text, aliases, f"headscale apikeys {name} --prefix abcdefghijkl")
        which = verb.add_mutually_exclusive_group(required=True)
        which.add_argument("-p", "--prefix", default="", help="from: headscale apikeys list")
        which.add_argument("-i", "--id", "--identifier", type=positive, default=0, help="from: headscale apikeys list")


def _create(arguments: argparse.Namespace) -> None:
    from headscale.v1 import apikey_pb2

    expiration = after(arguments.expiration or duration("90d"))
    if arguments.scopes or arguments.tags or arguments.description:
        _create_scoped(arguments, expiration)
        return
    with Remote(arguments) as remote:
        key = remote.call("CreateApiKey", apikey_pb2.CreateApiKeyRequest(expiration=expiration)).api_key
    if arguments.output:
        emit(key, arguments.output)
    else:
        print(key)


def _create_scoped(arguments: argparse.Namespace, expiration: Any) -> None:
    from smartscale.types.v1 import key_pb2 as types

    arguments.scopes = arguments.scopes or ["all"]
    key, secret = create_key(arguments, types.Key(kind=types.KEY_KIND_API, expires_at=expiration))
    if arguments.output:
        emit({**data(key), "secret": secret}, arguments.output)
    else:
        print(secret)


def _list(arguments: argparse.Namespace) -> None:
    from headscale.v1 import apikey_pb2

    with Remote(arguments) as remote:
        keys = remote.call("ListApiKeys", apikey_pb2.ListApiKeysRequest()).api_keys
    for key in keys:
        key.prefix = _masked(key.prefix)
    if arguments.output:
        emit([data(key) for key in keys], arguments.output)
        return
    table(
        ("ID", "Prefix", "Expiration", "Created", "Last used"),
        [
            (str(key.id), key.prefix, when(key.expiration, absent="never"), when(key.created_at), when(key.last_seen))
            for key in keys
        ],
        spare=("Last used", "Created"),
        empty="no API keys; create one: headscale apikeys create",
    )


def _masked(prefix: str) -> str:
    """Return a prefix as Headscale lists it: the key with its secret part masked."""
    if prefix.endswith(_MASK):
        return prefix
    return f"{_KEY}{prefix}-{_MASK}" if len(prefix) == _PREFIX_LENGTH else prefix + _MASK


def _bare(prefix: str) -> str:
    """Return the prefix alone, of a masked key as listed or of a bare one."""
    return prefix.removeprefix(_KEY).removesuffix(_MASK).removesuffix("-") if prefix.endswith(_MASK) else prefix


def _expire(arguments: argparse.Namespace) -> None:
    from headscale.v1 import apikey_pb2

    with Remote(arguments) as remote:
        request = apikey_pb2.ExpireApiKeyRequest(prefix=_bare(arguments.prefix), id=arguments.id)
        answer = remote.call("ExpireApiKey", request)
    done(arguments, arguments.prefix or arguments.id, answer, "API key expired")


def _delete(arguments: argparse.Namespace) -> None:
    from headscale.v1 import apikey_pb2

    with Remote(arguments) as remote:
        request = apikey_pb2.DeleteApiKeyRequest(prefix=_bare(arguments.prefix), id=arguments.id)
        answer = remote.call("DeleteApiKey", request)
    done(arguments, arguments.prefix or arguments.id, answer, "API key deleted")
