"""smartscale.admin.v1: who is the elected primary of which routes, and whom administrators prefer."""

from __future__ import annotations

from smartscale.admin.v1 import node_pb2
from smartscale.registry.v1 import registry_pb2
from smartscale.types.v1 import node_pb2 as node_types

from gateway.admin.calls.node_lists import NodeLists
from gateway.admin.context import CallContext
from gateway.admin.services import Services


class Routers:
    """Calls about elections."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lists = NodeLists(services)

    async def ListRouters(
        self, request: node_pb2.ListRoutersRequest, call: CallContext
    ) -> node_pb2.ListRoutersResponse:
        """List routers ordered by id, a page at a time."""
        wanted = registry_pb2.ListNodesRequest(after=request.after, limit=request.limit, routers_only=True)
        found, total = await self._lists.records(call, wanted)
        return node_pb2.ListRoutersResponse(nodes=map(_router, found), total=total)

    async def PreferRoutes(
        self, request: node_pb2.PreferRoutesRequest, call: CallContext
    ) -> node_pb2.PreferRoutesResponse:
        """Prefer a router for routes, or take the preference back."""
        node = await self._lists.one(call, request.node)
        answer = await call.ask(
            self._services.registry.PreferRoutes,
            registry_pb2.PreferRoutesRequest(id=node.id, routes=request.routes, undo=request.undo),
        )
        return node_pb2.PreferRoutesResponse(router=_router(answer.node))


def _router(node: node_types.Node) -> node_pb2.Router:
    return node_pb2.Router(
        id=node.id,
        given_name=node.given_name,
        online=node.online,
        healthy_since=node.healthy_since if node.HasField("healthy_since") else None,
        primary_terms=node.primary_terms,
        preferred_routes=node.preferred_routes,
    )
