"""Entity tags of the policy: which one a conditional change may replace."""

from __future__ import annotations

import re
from collections.abc import Sequence

import grpc
import grpc.aio
from smartscale.policy.v1 import policy_pb2

from gateway.admin.context import CallContext
from gateway.admin.refusal import PreconditionFailed, invalid
from gateway.admin.services import Services

ANY = "*"
NONE_SET = "ts-default"
"""The entity tag while no policy was ever set; the hosted service's name for it."""
_OPAQUE = "[!#-)+-~]+"
_TAG = f'(W/)?"{_OPAQUE}"'
FORM = rf"^(\*|{_TAG}( ?, ?{_TAG})*)$"
"""The form of If-Match; the W/ that compressing proxies add is ignored."""


def read_if_match(headers: Sequence[str]) -> tuple[str, ...]:
    """Read the If-Match headers of a request: entity tags without quotes, or `ANY`; empty: no condition.

    Raises:
        Refused: they hold no entity tag.
    """
    text = ",".join(headers).strip()
    if headers and not re.fullmatch(FORM, text):
        raise invalid("If-Match", "neither * nor a list of quoted etags")
    return (ANY,) if text == ANY else tuple(re.findall(f'"({_OPAQUE})"', text))


async def to_replace(services: Services, call: CallContext) -> str:
    """Return the entity tag that must be in force for the change of this call; empty: any.

    Raises:
        PreconditionFailed: the call wants a policy in force, and none was ever set.
    """
    etags = call.if_match
    if len(etags) < 2 and ANY not in etags:
        return "".join(etags)
    try:
        answer = await call.ask(services.policy.GetPolicy, policy_pb2.GetPolicyRequest())
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        if ANY in etags:
            raise PreconditionFailed() from None
        return NONE_SET if NONE_SET in etags else etags[0]
    if ANY in etags:
        return ""
    found: str = answer.version.etag
    return found if found in etags else etags[0]
