"""The paths of /api/v1: reads a request, makes its call through the chain, writes the answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

import grpc
import orjson
from headscale.v1 import node_pb2
from starlette.requests import Request
from starlette.responses import Response

from gateway.admin.calls import etag
from gateway.admin.chain import Chain
from gateway.admin.context import CallContext
from gateway.admin.refusal import Refused
from gateway.admin.rest.serving import arrival_of, read_raw, serve
from gateway.admin.rest.v1 import legacy_output, published
from gateway.admin.rest.v1.lists import narrow, page_of_nodes
from gateway.admin.rest.v1.operations import EVERY, Operation
from gateway.admin.rest.v1.problem import of_refusal, problem
from gateway.admin.rest.v1.reading import read_body, read_request
from gateway.admin.rest.v1.writing import document
from gateway.web import Routes

WIRE = "rest/v1"
PREFIX = "/api/v1"
_VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")

Endpoint = Callable[[Request], Awaitable[Response]]
Handler = Callable[[Request, CallContext], Awaitable[Response]]


def router(chain: Chain) -> Routes:
    """Return all paths below /api/v1, and /swagger."""
    routes = Routes()
    published.add_to(routes, PREFIX)
    resources: dict[str, dict[str, Handler]] = {}
    today = [(one.verb, one.path, _handler(chain, one)) for one in EVERY]
    for verb, path, handler in (*today, *legacy_output.handlers(chain, read)):
        resources.setdefault(_shape(path), {}).setdefault(verb, _naming(path, handler))
    known = {(verb, _shape(path)) for verb, path, _ in today}
    # A word in the path wins over a parameter at the same place: /node/register is no node.
    for path in sorted(resources, key=lambda path: [part.startswith("{") for part in path.split("/")]):
        listed = {verb for verb in resources[path] if (verb, path) in known} or set(resources[path])
        _add(routes, PREFIX + path, _resource(resources[path], chain, listed))
    _add(routes, PREFIX + "/{rest:path}", _resource({}, chain))
    _add(routes, PREFIX, _resource({}, chain))
    return routes


async def read(request: Request) -> Mapping[str, object]:
    """Return the members of a request's JSON body.

    Raises:
        Refused: it is too large or not a JSON object.
    """
    return read_body(await read_raw(request))


def _shape(path: str) -> str:
    """Return the path with its parameters by number: /user/{id} and /user/{name} are one resource."""
    parts = path.split("/")
    return "/".join(f"{{p{number}}}" if part.startswith("{") else part for number, part in enumerate(parts))


def _naming(path: str, handler: Handler) -> Handler:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]

    async def handle(request: Request, call: CallContext) -> Response:
        request.scope["path_params"] = dict(zip(names, request.path_params.values(), strict=True))
        return await handler(request, call)

    return handle


def _handler(chain: Chain, operation: Operation) -> Handler:
    async def handle(request: Request, call: CallContext) -> Response:
        body = await read(request) if operation.body else {}
        query = [pair for pair in request.query_params.multi_items() if operation.query]
        message = read_request(operation.request, body, query, request.path_params)
        if operation.conditional:
            call.if_match = etag.read_if_match(request.headers.getlist("if-match"))
        query_params, path = request.query_params, request.url.path
        if isinstance(message, node_pb2.ListNodesRequest) and not query_params.keys().isdisjoint(operation.narrowed):
            answer, following = await page_of_nodes(chain, call, message, query_params, path)
        else:
            answer = await chain.call(call, operation.full_name, message)
            following = narrow(answer, operation.narrowed, query_params, path)
        headers = {"Link": f'<{following}>; rel="next"'} if following else {}
        if operation.tagged and call.etag:
            headers["ETag"] = f'"{call.etag}"'
        return answered(document(answer), headers)

    return handle


def answered(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer."""
    return Response(orjson.dumps(body), 200, {"Cache-Control": "no-store", **(headers or {})}, "application/json")


def _resource(handlers: Mapping[str, Handler], chain: Chain, listed: AbstractSet[str] = frozenset()) -> Endpoint:
    """Serve one path. `listed` are the methods that it names when asked, without those of older releases."""
    allowed = sorted({*listed, "OPTIONS", *(("HEAD",) if "GET" in listed else ())})
    allow = {"Allow": ", ".join(allowed)}

    async def answer(request: Request, call: CallContext) -> Response:
        if not handlers:
            return problem(404, grpc.StatusCode.NOT_FOUND, "there is nothing at this path")
        handler = handlers.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            text = f"this path knows {', '.join(sorted(listed))}"
            return problem(405, grpc.StatusCode.UNIMPLEMENTED, text, allow)
        try:
            return await handler(request, call)
        except Refused as refusal:
            if call.if_match and refusal.code is grpc.StatusCode.ABORTED:
                return problem(412, refusal.code, str(refusal))
            raise

    async def endpoint(request: Request) -> Response:
        if request.method == "OPTIONS" and handlers:
            return Response(status_code=204, headers=allow)

        async def handle(call: CallContext) -> Response:
            return await answer(request, call)

        return await serve(chain, request, arrival_of(request, WIRE), handle, of_refusal)

    return endpoint


def _add(routes: Routes, path: str, endpoint: Endpoint) -> None:
    routes.add(path, endpoint, _VERBS)
