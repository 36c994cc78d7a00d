"""Paths of older releases that scripts and web UIs still call, answered by today's calls in their old shapes.

    until 0.22   /machine…              nodes under their first name
    until 0.23   GET /user/{name}
    until 0.25   /routes…, GET /node/{node_id}/routes
    until 0.27   POST /node/{node_id}/user

Routes had numbers then. Here a number is derived from node and prefix, so that it always names the same route.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import grpc
import orjson
from headscale.v1 import node_pb2, user_pb2
from smartscale.admin.v1 import node_pb2 as admin_pb2
from starlette.requests import Request
from starlette.responses import Response

from gateway.admin.chain import Chain
from gateway.admin.context import CallContext
from gateway.admin.refusal import Refused
from gateway.admin.rest.v1.lists import LIST_NODES
from gateway.admin.rest.v1.operations import BY_RPC, Operation
from gateway.admin.rest.v1.problem import problem
from gateway.admin.rest.v1.reading import read_number, read_request
from gateway.admin.rest.v1.writing import document

Handler = Callable[[Request, CallContext], Awaitable[Response]]
ReadBody = Callable[[Request], Awaitable[Mapping[str, object]]]

_NODE_CALLS = (
    "ListNodes",
    "RegisterNode",
    "GetNode",
    "DeleteNode",
    "SetTags",
    "ExpireNode",
    "RenameNode",
    "DebugCreateNode",
)
_FIND_USER = BY_RPC["ListUsers"].full_name
_GET_NODE = "smartscale.admin.v1.NodeAdminService.GetNode"
_APPROVE = BY_RPC["SetApprovedRoutes"].full_name
_EXITS = ("0.0.0.0/0", "::/0")


def handlers(chain: Chain, read: ReadBody) -> Iterator[tuple[str, str, Handler]]:
    """Yield each verb and path of older releases with its handler."""
    routes = LegacyRoutes(chain)
    for rpc in _NODE_CALLS:
        operation = BY_RPC[rpc]
        path = operation.path.replace("/node", "/machine").replace("{node_id}", "{machine_id}")
        yield operation.verb, path, _machine(chain, operation, read)
    yield "GET", "/user/{name}", _user(chain)
    for noun, parameter in (("node", "node_id"), ("machine", "machine_id")):
        yield "GET", f"/{noun}/{{{parameter}}}/routes", routes.of_node(parameter)
        yield "POST", f"/{noun}/{{{parameter}}}/user", _moved
    yield "GET", "/routes", routes.every
    yield "POST", "/routes/{route_id}/enable", routes.approving(True)
    yield "POST", "/routes/{route_id}/disable", routes.approving(False)
    yield "DELETE", "/routes/{route_id}", routes.approving(False)


def _machine(chain: Chain, operation: Operation, read: ReadBody) -> Handler:
    async def handle(request: Request, call: CallContext) -> Response:
        body = await read(request) if operation.body else {}
        path = {name.replace("machine_id", "node_id"): value for name, value in request.path_params.items()}
        query = request.query_params.multi_items()
        answer = document(
            await chain.call(call, operation.full_name, read_request(operation.request, body, query, path))
        )
        return _answered(_as_machines(answer))

    return handle


def _as_machines(answer: dict[str, Any]) -> dict[str, Any]:
    if answer.get("node") is not None:
        return {"machine": _older(answer["node"])}
    return {"machines": [_older(node) for node in answer["nodes"]]} if "nodes" in answer else answer


def _older(node: dict[str, Any]) -> dict[str, Any]:
    return {**node, "lastSuccessfulUpdate": None, "forcedTags": node["tags"], "validTags": [], "invalidTags": []}


def _user(chain: Chain) -> Handler:
    async def handle(request: Request, call: CallContext) -> Response:
        answer: Any = await chain.call(call, _FIND_USER, user_pb2.ListUsersRequest(name=request.path_params["name"]))
        if not answer.users:
            raise Refused(grpc.StatusCode.NOT_FOUND, "user not found")
        return _answered({"user": document(answer.users[0])})

    return handle


async def _moved(_request: Request, _call: CallContext) -> Response:
    text = "nodes are not moved between users any more: log in again as the other user, or give the node tags"
    return problem(410, grpc.StatusCode.UNIMPLEMENTED, text)


class LegacyRoutes:
    """Routes as resources, over today's lists of approved and offered routes."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    async def every(self, request: Request, call: CallContext) -> Response:
        """List all routes."""
        return _answered({"routes": [route for node in await self._nodes(call) for route in routes_of(node)]})

    def of_node(self, parameter: str) -> Handler:
        """Return the handler that lists the routes of one node."""

        async def handle(request: Request, call: CallContext) -> Response:
            node_id = read_number(parameter, request.path_params[parameter])
            found: Any = await self._chain.call(call, _GET_NODE, admin_pb2.GetNodeRequest(node=str(node_id)))
            if found.node.id != node_id:  # a given name of digits
                raise Refused(grpc.StatusCode.NOT_FOUND, "node not found")
            return _answered({"routes": routes_of(found.node)})

        return handle

    def approving(self, enable: bool) -> Handler:
        """Return the handler that approves a route or withdraws its approval; exit routes change together."""

        async def handle(request: Request, call: CallContext) -> Response:
            route_id = read_number("route_id", request.path_params["route_id"])
            for node in await self._nodes(call):
                for prefix in {*node.available_routes, *node.approved_routes}:
                    if route_number(node.id, prefix) == route_id:
                        await self._approve(call, node, prefix, enable)
                        return _answered({})
            raise Refused(grpc.StatusCode.NOT_FOUND, "route not found")

        return handle

    async def _approve(self, call: CallContext, node: node_pb2.Node, prefix: str, enable: bool) -> None:
        meant = set(_EXITS) if prefix in _EXITS else {prefix}
        wanted = set(node.approved_routes) | meant if enable else set(node.approved_routes) - meant
        request = node_pb2.SetApprovedRoutesRequest(node_id=node.id, routes=sorted(wanted))
        await self._chain.call(call, _APPROVE, request)

    async def _nodes(self, call: CallContext) -> list[node_pb2.Node]:
        """Return all routers; no other node has a route."""
        found: list[node_pb2.Node] = []
        while True:
            request = admin_pb2.ListNodesRequest(routers_only=True, after=found[-1].id if found else 0)
            page: Any = await self._chain.call(call, LIST_NODES, request)
            found += page.nodes
            if len(page.nodes) == page.total:
                return found


def routes_of(node: node_pb2.Node) -> list[dict[str, Any]]:
    """Return the routes of a node in the old shape."""
    offered, approved, served = set(node.available_routes), set(node.approved_routes), set(node.subnet_routes)
    whole = _older(document(node))
    return [
        {
            "id": str(route_number(node.id, prefix)),
            "node": whole,
            "machine": whole,
            "prefix": prefix,
            "advertised": prefix in offered,
            "enabled": prefix in approved,
            "isPrimary": prefix in served and prefix not in _EXITS,
            "createdAt": whole["createdAt"],
            "updatedAt": whole["createdAt"],
            "deletedAt": None,
        }
        for prefix in sorted(offered | approved)
    ]


def route_number(node_id: int, prefix: str) -> int:
    """Return the number of a route: the same for the same node and prefix."""
    return int.from_bytes(hashlib.sha256(f"{node_id} {prefix}".encode()).digest()[:6], "big") | 1 << 40


def _answered(body: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(body), 200, {"Cache-Control": "no-store"}, "application/json")
