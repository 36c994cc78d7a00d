"""The operations of /api/v2 about keys: auth keys, API keys, OAuth clients."""

from __future__ import annotations

import time
from collections.abc import Mapping

from smartscale.admin.v1 import key_pb2 as pb
from smartscale.types.v1 import key_pb2 as types
from starlette.responses import Response

from gateway.admin.refusal import invalid
from gateway.admin.rest.v2.key import KINDS, is_invalid, shown
from gateway.admin.rest.v2.operation import (
    Operation,
    Question,
    answered,
    object_member,
    optional_flag,
    optional_text,
    texts_member,
)
from gateway.admin.scopes import KEYS
from services.shared.scopes import READ

_KEYS = "smartscale.admin.v1.KeyAdminService."
DEFAULT_SECONDS = 90 * 86400
"""Lifetime of an auth key that asks for none, as on the hosted service."""
MAX_SECONDS = 10 * 365 * 86400


async def _list(question: Question) -> Response:
    """List keys that still do something, of the kinds that the credential may read."""
    answer = await question.ask(_KEYS + "ListKeys", pb.ListKeysRequest())
    now = time.time()
    return answered({"keys": [shown(key, now) for key in answer.keys if not is_invalid(key, now)]})


async def _get(question: Question) -> Response:
    answer = await question.ask(_KEYS + "GetKey", pb.GetKeyRequest(id=question.path["key"]))
    return answered(shown(answer.key, time.time()))


async def _create(question: Question) -> Response:
    body = await question.body()
    kind = optional_text(body, "keyType") or "auth"
    if kind not in ("auth", "client"):
        raise invalid("keyType", "neither auth nor client; API keys are made by: headscale apikeys create")
    key = types.Key(kind=KINDS[kind], description=optional_text(body, "description") or "")
    scopes, tags = texts_member(body, "scopes"), texts_member(body, "tags")
    if kind == "client":
        key.scopes.extend(scopes)
        key.tags.extend(tags)
    else:
        _read_auth_key(body, key)
    lifetime = _seconds(body)  # read for a client, too, so that a wrong type is refused; its secret does not expire
    answer = await question.ask(
        _KEYS + "CreateKey", pb.CreateKeyRequest(key=key, lifetime=lifetime if kind == "auth" else 0)
    )
    return answered(shown(answer.key, time.time(), str(answer.secret)))


def _read_auth_key(body: Mapping[str, object], key: types.Key) -> None:
    create = object_member(object_member(object_member(body, "capabilities"), "devices"), "create")
    key.reusable, key.ephemeral = bool(optional_flag(create, "reusable")), bool(optional_flag(create, "ephemeral"))
    key.preauthorized = bool(optional_flag(create, "preauthorized"))
    key.tags.extend(texts_member(create, "tags"))
    owner = optional_text(body, "userId") or ""
    if owner:
        if not (owner.isascii() and owner.isdigit() and len(owner) < 19):
            raise invalid("userId", "not the id of a user")
        key.user_id = int(owner)


def _seconds(body: Mapping[str, object]) -> int:
    seconds = body.get("expirySeconds")
    if seconds is None:
        return DEFAULT_SECONDS
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 <= seconds <= MAX_SECONDS:
        raise invalid("expirySeconds", f"not a number of seconds up to {MAX_SECONDS}")
    return seconds or DEFAULT_SECONDS


async def _update(question: Question) -> Response:
    """Replace description, scopes and tags of an OAuth client as a whole; its secret stays."""
    body = await question.body()
    request = pb.UpdateKeyRequest(
        id=question.path["key"],
        description=optional_text(body, "description") or "",
        scopes=texts_member(body, "scopes"),
        tags=texts_member(body, "tags"),
    )
    answer = await question.ask(_KEYS + "UpdateKey", request)
    return answered(shown(answer.key, time.time()))


async def _delete(question: Question) -> Response:
    await question.ask(_KEYS + "DeleteKey", pb.DeleteKeyRequest(id=question.path["key"]))
    return answered({})


_READ = tuple(scope + READ for scope in KEYS)
_CLIENT_BODY = {"description": "string", "scopes": "array", "tags": "array"}

OPERATIONS = (
    Operation(
        "GET",
        "/tailnet/{tailnet}/keys",
        "List keys",
        "keys",
        _list,
        _READ,
        ("all",),
        answer="Keys",
        checked_inside=True,
    ),
    Operation(
        "POST",
        "/tailnet/{tailnet}/keys",
        "Create a key",
        "keys",
        _create,
        KEYS,
        optional={
            "keyType": "string",
            "capabilities": "object",
            "expirySeconds": "integer",
            "userId": "string",
            **_CLIENT_BODY,
        },
        answer="Key",
        checked_inside=True,
    ),
    Operation(
        "GET", "/tailnet/{tailnet}/keys/{key}", "Get a key", "keys", _get, _READ, answer="Key", checked_inside=True
    ),
    Operation(
        "PUT",
        "/tailnet/{tailnet}/keys/{key}",
        "Change an OAuth client",
        "keys",
        _update,
        KEYS,
        optional=_CLIENT_BODY,
        answer="Key",
        checked_inside=True,
    ),
    Operation("DELETE", "/tailnet/{tailnet}/keys/{key}", "Delete a key", "keys", _delete, KEYS, checked_inside=True),
)
