"""The common part of all HTTP wires for administrators: arrivals, bodies, and the passage through the chain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import grpc
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from gateway.admin.chain import Chain
from gateway.admin.context import Arrival, CallContext
from gateway.admin.refusal import Refused
from services.shared.telemetry.logs import get_logger
from services.shared.telemetry.propagation import HEADER

log = get_logger(__name__)

MAX_BODY = 4 << 20
"""Bytes of a request's body, as much as a message over gRPC may have."""
SYSTEM_USER = "smartscale.system_user"
"""Key of an ASGI scope that came over the unix socket: the operating system user on the other end."""

HTTP_STATUS: Mapping[grpc.StatusCode, int] = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
"""HTTP statuses by gRPC status, as grpc-gateway and Connect map them; 500 for the others."""


class TooLarge(Refused):
    """The body is larger than this server reads; answered 413, and the connection is closed."""

    def __init__(self) -> None:
        super().__init__(grpc.StatusCode.RESOURCE_EXHAUSTED, f"body: larger than {MAX_BODY} bytes")


def status_of(refusal: Refused) -> int:
    """Return the HTTP status of a refusal."""
    return 413 if isinstance(refusal, TooLarge) else HTTP_STATUS.get(refusal.code, 500)


def headers_of(refusal: Refused) -> dict[str, str]:
    """Return the headers that go with a refusal: when to retry, how to authenticate, that the connection ends."""
    headers = {"Cache-Control": "no-store"}
    if refusal.retry_after:
        headers["Retry-After"] = str(refusal.retry_after)
    if refusal.code is grpc.StatusCode.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(refusal, TooLarge):
        headers["Connection"] = "close"
    return headers


def arrival_of(request: Request, wire: str, authorization: str | None = None) -> Arrival:
    """Return how a request arrived; over the unix socket its file mode stands for the credential."""
    headers = request.headers
    trace = headers.get(HEADER, "")
    if SYSTEM_USER in request.scope:
        return Arrival(wire, trusted=True, system_user=str(request.scope[SYSTEM_USER]), traceparent=trace)
    address = request.client.host if request.client else ""
    return Arrival(wire, address, authorization or headers.get("authorization"), traceparent=trace)


async def read_raw(request: Request) -> bytes:
    """Read the whole body of a request.

    Raises:
        TooLarge: it has more than `MAX_BODY` bytes.
        ClientDisconnect: the client went away.
    """
    raw = bytearray()
    async for part in request.stream():
        raw += part
        if len(raw) > MAX_BODY:
            raise TooLarge()
    return bytes(raw)


async def serve(
    chain: Chain,
    request: Request,
    arrival: Arrival,
    handle: Callable[[CallContext], Awaitable[Response]],
    refuse: Callable[[Refused], Response],
) -> Response:
    """Answer a request inside the chain; every failure becomes a refusal in the words of the wire."""
    try:
        async with chain.enter(arrival) as call:
            return await handle(call)
    except Refused as refusal:
        return refuse(refusal)
    except ClientDisconnect:
        return Response(status_code=499)
    except Exception:
        log.exception("administration call failed", path=request.scope.get("route_path", request.url.path)[:200])
        return refuse(Refused(grpc.StatusCode.INTERNAL, "internal error"))
