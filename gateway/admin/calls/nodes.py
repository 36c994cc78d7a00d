"""headscale.v1: nodes."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from headscale.v1 import node_pb2
from smartscale.registry.v1 import registry_pb2
from smartscale.types.v1 import node_pb2 as node_types

from gateway.admin.calls import convert
from gateway.admin.calls.node_lists import NodeLists
from gateway.admin.calls.tags import check_tags
from gateway.admin.context import CallContext
from gateway.admin.refusal import Refused
from gateway.admin.services import Services


class Nodes:
    """Calls about nodes."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lists = NodeLists(services)

    async def GetNode(self, request: node_pb2.GetNodeRequest, call: CallContext) -> node_pb2.GetNodeResponse:
        """Fetch one node."""
        answer = await call.ask(self._services.registry.GetNode, registry_pb2.GetNodeRequest(id=request.node_id))
        return node_pb2.GetNodeResponse(node=await self._shown(call, answer.node))

    async def ListNodes(self, request: node_pb2.ListNodesRequest, call: CallContext) -> node_pb2.ListNodesResponse:
        """List nodes, or those of the user with this name."""
        user_id = (await self._services.user_named(call, request.user)).id if request.user else 0
        answer = node_pb2.ListNodesResponse()
        async for part in self._lists.parts(call, registry_pb2.ListNodesRequest(user_id=user_id)):
            answer.nodes.extend(part.nodes)
        return answer

    async def SetTags(self, request: node_pb2.SetTagsRequest, call: CallContext) -> node_pb2.SetTagsResponse:
        """Replace a node's tags."""
        await check_tags(self._services, call, request.tags)
        answer = await call.ask(
            self._services.registry.SetTags, registry_pb2.SetTagsRequest(id=request.node_id, tags=request.tags)
        )
        return node_pb2.SetTagsResponse(node=await self._shown(call, answer.node))

    async def SetApprovedRoutes(
        self, request: node_pb2.SetApprovedRoutesRequest, call: CallContext
    ) -> node_pb2.SetApprovedRoutesResponse:
        """Replace a node's approved routes."""
        answer = await call.ask(
            self._services.registry.SetApprovedRoutes,
            registry_pb2.SetApprovedRoutesRequest(id=request.node_id, routes=request.routes),
        )
        mine = (await self._lists.served(call)).get(answer.node.id, [])
        primaries = [route for route in mine if route not in convert.EXIT_ROUTES]
        return node_pb2.SetApprovedRoutesResponse(node=await self._shown(call, answer.node, primaries))

    async def DeleteNode(self, request: node_pb2.DeleteNodeRequest, call: CallContext) -> node_pb2.DeleteNodeResponse:
        """Delete a node."""
        await call.ask(self._services.registry.DeleteNode, registry_pb2.DeleteNodeRequest(id=request.node_id))
        return node_pb2.DeleteNodeResponse()

    async def ExpireNode(self, request: node_pb2.ExpireNodeRequest, call: CallContext) -> node_pb2.ExpireNodeResponse:
        """Expire a node's key now or at a time, or disable its expiry."""
        if request.disable_expiry and request.HasField("expiry"):
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "disable_expiry: excludes expiry")
        answer = await call.ask(
            self._services.registry.ExpireNode,
            registry_pb2.ExpireNodeRequest(
                id=request.node_id,
                expiry=request.expiry if request.HasField("expiry") else None,
                disable_expiry=request.disable_expiry,
            ),
        )
        return node_pb2.ExpireNodeResponse(node=await self._shown(call, answer.node))

    async def RenameNode(self, request: node_pb2.RenameNodeRequest, call: CallContext) -> node_pb2.RenameNodeResponse:
        """Rename a node."""
        answer = await call.ask(
            self._services.registry.RenameNode,
            registry_pb2.RenameNodeRequest(id=request.node_id, new_name=request.new_name),
        )
        return node_pb2.RenameNodeResponse(node=await self._shown(call, answer.node))

    async def BackfillNodeIPs(
        self, request: node_pb2.BackfillNodeIPsRequest, call: CallContext
    ) -> node_pb2.BackfillNodeIPsResponse:
        """Allocate the addresses that nodes lack."""
        if not request.confirmed:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "confirmed: must be true, because nodes get new addresses")
        answer = await call.ask(self._services.registry.BackfillNodeIps, registry_pb2.BackfillNodeIpsRequest())
        return node_pb2.BackfillNodeIPsResponse(changes=answer.changes)

    async def _shown(self, call: CallContext, node: node_types.Node, served: Sequence[str] = ()) -> node_pb2.Node:
        users = await self._services.users(call) if node.user_id else {}
        keys = await self._services.keys(call) if node.pre_auth_key_id else {}
        return convert.node(node, users, keys, served)
