"""Errors with the members that clients of both generations read: RFC 9457's and grpc-gateway's."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
import orjson
from starlette.responses import Response

from gateway.admin.refusal import Refused
from gateway.admin.rest.serving import headers_of, status_of

TITLES: Mapping[int, str] = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    410: "Gone",
    412: "Precondition Failed",
    413: "Content Too Large",
    429: "Too Many Requests",
    499: "Client Closed Request",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


def of_refusal(refusal: Refused) -> Response:
    """Answer a call that was refused."""
    return problem(status_of(refusal), refusal.code, str(refusal), headers_of(refusal))


def problem(status: int, code: grpc.StatusCode, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error answer."""
    number = int(code.value[0])
    body = {
        "title": TITLES[status],
        "status": status,
        "detail": text,
        "code": number,
        "message": text,
        "details": [],
    }
    return Response(
        orjson.dumps(body),
        status,
        {"Cache-Control": "no-store", **(headers or {})},
        "application/problem+json",
    )
