"""The routes of /api/v2: credentials in both forms, the tailnet, and errors in the hosted service's shape."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from functools import cache

import grpc
import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.admin.chain import Chain
from gateway.admin.checks import check_text
from gateway.admin.context import CallContext
from gateway.admin.refusal import Refused
from gateway.admin.rest.serving import arrival_of, headers_of, serve, status_of
from gateway.admin.rest.v2 import attributes, devices, dns, keys, logs, policy, settings, token, users
from gateway.admin.rest.v2.operation import ConfiguredTailnet, Operation, Question
from gateway.web import POST, READ, Routes

WIRE = "rest/v2"
PREFIX = "/api/v2"
OPERATIONS: tuple[Operation, ...] = (
    *devices.OPERATIONS,
    *attributes.OPERATIONS,
    *users.OPERATIONS,
    *policy.OPERATIONS,
    *dns.OPERATIONS,
    *keys.OPERATIONS,
    *logs.OPERATIONS,
    *settings.OPERATIONS,
)
_VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class WrongMethod(Refused):
    """The path answers other methods; answered 405."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__(grpc.StatusCode.UNIMPLEMENTED, f"this path answers {', '.join(allowed)}")
        self.allowed = allowed


def router(chain: Chain, tailnet: ConfiguredTailnet, issue: token.Issue) -> Routes:
    """Return all routes below /api/v2; a path that has none answers 404, as clients expect it, in JSON."""
    routes = Routes()
    resources: dict[str, dict[str, Operation]] = {}
    for operation in OPERATIONS:
        resources.setdefault(operation.path, {})[operation.verb] = operation

    async def document() -> Response:
        return Response(_document(), 200, {"Cache-Control": "max-age=300"}, "application/json")

    routes.add(f"{PREFIX}/openapi.json", document, READ)
    # Clients that join a base URL with a slash at its end and this path send two slashes.
    for path in (PREFIX + token.PATH, f"/{PREFIX}{token.PATH}"):
        routes.add(path, token.endpoint(issue, WIRE), POST)
        routes.add(path, _post_only, tuple(verb for verb in _VERBS if verb not in POST))
    for path, operations in resources.items():
        _add(routes, PREFIX + path, chain, tailnet, operations)
    for path in (PREFIX, PREFIX + "/{rest:path}"):
        _add(routes, path, chain, tailnet, {})
    return routes


async def _post_only() -> Response:
    return _refused(WrongMethod(tuple(POST)))


def _add(
    routes: Routes, path: str, chain: Chain, tailnet: ConfiguredTailnet, operations: Mapping[str, Operation]
) -> None:
    async def endpoint(request: Request) -> Response:
        async def handle(call: CallContext) -> Response:
            operation = operations.get("GET" if request.method == "HEAD" else request.method)
            if operation is None:
                raise _missing(request, operations)
            if not tailnet.knows(request.path_params.get("tailnet", "-")):
                raise Refused(grpc.StatusCode.NOT_FOUND, "tailnet not found")
            try:
                call.require(*operation.scopes)
            except Refused as refusal:
                if operation.changes:
                    await chain.auditor.refuse(call, f"{operation.verb} {request.url.path}", refusal)
                raise
            for name, text in request.query_params.multi_items():
                if name in operation.query:
                    check_text(name, text)
            inner = call if operation.checked_inside else call.inside_operation()
            return await operation.handler(Question(chain, inner, tailnet, request))

        return await serve(chain, request, arrival_of(request, WIRE, _bearer(request)), handle, _refused)

    routes.add(path, endpoint, _VERBS)


def _missing(request: Request, operations: Mapping[str, Operation]) -> Refused:
    if operations:
        return WrongMethod(tuple(sorted(operations)))
    return Refused(grpc.StatusCode.NOT_FOUND, f"this server has no {request.method} {request.url.path[:128]}")


def _bearer(request: Request) -> str | None:
    """Return HTTP Basic with the key as user name in the form of a bearer token; None for other forms."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name = base64.b64decode(value, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return None
    return f"Bearer {name}"


def _refused(refusal: Refused) -> Response:
    status, text, headers = status_of(refusal), str(refusal), headers_of(refusal)
    if refusal.code is grpc.StatusCode.ABORTED:
        status, text = 412, "precondition failed, invalid old hash"
    if isinstance(refusal, WrongMethod):
        status, headers["Allow"] = 405, ", ".join(refusal.allowed)
    return Response(orjson.dumps({"message": text}), status, headers, "application/json")


@cache
def _document() -> bytes:
    from gateway.admin.rest.v2 import openapi  # late: few processes are ever asked for the document

    return orjson.dumps(openapi.build(OPERATIONS))
