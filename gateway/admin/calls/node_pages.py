"""smartscale.admin.v1: nodes in pages, for tailnets that do not fit into one message."""

from __future__ import annotations

from smartscale.admin.v1 import node_pb2
from smartscale.registry.v1 import registry_pb2

from gateway.admin.calls.node_lists import NodeLists
from gateway.admin.context import CallContext
from gateway.admin.services import Services


class NodePages:
    """Calls that read nodes."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lists = NodeLists(services)

    async def ListNodes(self, request: node_pb2.ListNodesRequest, call: CallContext) -> node_pb2.ListNodesResponse:
        """List nodes ordered by id, a page at a time."""
        user = await self._services.user_named(call, request.user) if request.user else None
        wanted = registry_pb2.ListNodesRequest(
            user_id=user.id if user is not None else 0,
            after=request.after,
            limit=request.limit,
            tag=request.tag,
            online=request.online if request.HasField("online") else None,
            routers_only=request.routers_only,
        )
        page = await self._lists.page(call, wanted)
        return node_pb2.ListNodesResponse(nodes=page.nodes, total=page.total)

    async def GetNode(self, request: node_pb2.GetNodeRequest, call: CallContext) -> node_pb2.GetNodeResponse:
        """Return one node, by id or given name."""
        return node_pb2.GetNodeResponse(node=await self._lists.one(call, request.node))
