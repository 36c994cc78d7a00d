"""A key in the hosted service's shape. Pure translation."""

from __future__ import annotations

from typing import Any

from smartscale.types.v1 import key_pb2 as types

from gateway.admin.rest.v2.device import time_text

KINDS = {
    "auth": types.KEY_KIND_AUTH,
    "api": types.KEY_KIND_API,
    "client": types.KEY_KIND_OAUTH_CLIENT,
}
_NAMES = {kind: name for name, kind in KINDS.items()}


def is_invalid(key: types.Key, now: float) -> bool:
    """Return whether a key no longer does anything: expired, or used up. `now` is in seconds since 1970."""
    spent = key.used and not key.reusable
    return spent or (key.HasField("expires_at") and key.expires_at.ToNanoseconds() <= now * 1e9)


def shown(key: types.Key, now: float, secret: str = "") -> dict[str, Any]:
    """Return a key; `secret` is given in the answer to its creation alone."""
    found: dict[str, Any] = {
        "id": key.id,
        "keyType": _NAMES[key.kind],
        "description": key.description,
        "created": time_text(key.created_at),
        "invalid": is_invalid(key, now),
    }
    if secret:
        found["key"] = secret
    if key.HasField("updated_at"):
        found["updated"] = time_text(key.updated_at)
    if key.HasField("expires_at"):
        found["expires"] = time_text(key.expires_at)
    if key.user_id:
        found["userId"] = str(key.user_id)
    if key.kind != types.KEY_KIND_AUTH:
        return {**found, "scopes": list(key.scopes), "tags": list(key.tags)}
    if key.HasField("expires_at"):
        found["expirySeconds"] = round((key.expires_at.ToNanoseconds() - key.created_at.ToNanoseconds()) / 1e9)
    create = {
        "reusable": key.reusable,
        "ephemeral": key.ephemeral,
        "preauthorized": key.preauthorized,
        "tags": list(key.tags),
    }
    return {**found, "capabilities": {"devices": {"create": create}}}
