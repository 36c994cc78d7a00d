"""Every administration call over plain HTTP/1.1: the unary Connect protocol with protobuf bodies, at /api/rpc.

    POST /api/rpc/headscale.v1.HeadscaleService/ListNodes    Content-Type: application/proto

It passes any reverse proxy, so a command line far away needs no second port: gRPC proper needs HTTP/2 from end to
end, which most proxies do not pass on, and an ALPN of its own on the listener of the clients.
"""

from __future__ import annotations

import grpc
import orjson
from google.protobuf.message import DecodeError
from starlette.requests import Request
from starlette.responses import Response

from gateway.admin.chain import Chain
from gateway.admin.context import CallContext
from gateway.admin.refusal import Refused, invalid
from gateway.admin.rest.serving import arrival_of, headers_of, read_raw, serve, status_of
from gateway.web import POST, Routes

WIRE = "rpc"
PREFIX = "/api/rpc"
MEDIA_TYPE = "application/proto"


def router(chain: Chain) -> Routes:
    """Return the route of all calls."""
    routes = Routes()

    async def endpoint(request: Request) -> Response:
        async def handle(call: CallContext) -> Response:
            return await _call(chain, request, call)

        return await serve(chain, request, arrival_of(request, WIRE), handle, _refused)

    path = PREFIX + "/{service}/{method}"
    routes.add(path, endpoint, POST)
    return routes


async def _call(chain: Chain, request: Request, call: CallContext) -> Response:
    name = f"{request.path_params['service']}.{request.path_params['method']}"
    method = chain.methods.get(name)
    if method is None:
        raise Refused(grpc.StatusCode.UNIMPLEMENTED, f"there is no call {name[:128]}")
    if request.headers.get("content-type", "").partition(";")[0].strip() != MEDIA_TYPE:
        raise invalid("content-type", f"not {MEDIA_TYPE}")
    try:
        message = method.request.FromString(await read_raw(request))
    except DecodeError:
        raise invalid("request", f"not a message of the type {method.contract.input_type.full_name}") from None
    answer = await chain.call(call, name, message)
    return Response(answer.SerializeToString(), 200, {"Cache-Control": "no-store"}, MEDIA_TYPE)


def _refused(refusal: Refused) -> Response:
    body = {"code": refusal.code.name.lower().replace("cancelled", "canceled"), "message": str(refusal)}
    return Response(orjson.dumps(body), status_of(refusal), headers_of(refusal), "application/json")
