"""HTTP's conditions on the policy call that is being answered: what it may replace, and what it then found in force."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextvars import ContextVar

import grpc
import grpc.aio
from smartscale.policy.v1 import policy_pb2

from gateway.admin.stubs import DEADLINE, Refused, Services

ANY = "*"
NONE_SET = "ts-default"
"""The etag while no policy was ever set."""
_OPAQUE = "[!#-)+-~]+"
_TAG = f'(W/)?"{_OPAQUE}"'
FORM = rf"^(\*|{_TAG}( ?, ?{_TAG})*)$"
"""What If-Match may be; a mark of weakness, as proxies put it, is overlooked."""

_wanted: ContextVar[tuple[str, ...]] = ContextVar("wanted", default=())
_seen: ContextVar[str] = ContextVar("seen", default="")


class Overtaken(Refused):
    """Another policy is in force than the one that the caller wants to replace."""

    def __init__(self) -> None:
        super().__init__(
            grpc.StatusCode.ABORTED, "the policy in force is not the one that the change was made from; read it again"
        )


def want(headers: Sequence[str]) -> None:
    """Take the If-Match headers of a request; none: no condition.

    Raises:
        Refused: they say no etag.
    """
    _seen.set("")
    text = ",".join(headers).strip()
    if headers and not re.fullmatch(FORM, text):
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "If-Match: neither * nor a list of quoted etags")
    _wanted.set((ANY,) if text == ANY else tuple(re.findall(f'"({_OPAQUE})"', text)))


def wanted() -> tuple[str, ...]:
    """The etags of which one has to be in force, or `ANY`; empty: always."""
    return _wanted.get()


async def replaced(services: Services) -> str:
    """The etag that has to be in force for a change that is made now; empty: any.

    Raises:
        Overtaken: none of those that would do is.
    """
    etags = wanted()
    if len(etags) < 2 and ANY not in etags:
        return "".join(etags)
    try:
        answer = await services.policy.GetPolicy(policy_pb2.GetPolicyRequest(), timeout=DEADLINE)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:
            raise
        if ANY in etags:
            raise Overtaken() from None
        return NONE_SET if NONE_SET in etags else etags[0]
    if ANY in etags:
        return ""
    found: str = answer.version.etag
    return found if found in etags else etags[0]


def note(etag: str) -> None:
    """This etag is in force now."""
    _seen.set(etag)


def header() -> dict[str, str]:
    """The header that tells the etag, if there is one to tell."""
    return {"ETag": f'"{_seen.get()}"'} if _seen.get() else {}
