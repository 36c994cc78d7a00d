"""headscale.v1: nodes and the logins that become nodes."""

from __future__ import annotations

from typing import Any

import grpc
from headscale.v1 import auth_pb2 as login_pb2
from headscale.v1 import node_pb2
from smartscale.auth.v1 import auth_pb2
from smartscale.registry.v1 import registry_pb2

from gateway.admin import convert
from gateway.admin.stubs import DEADLINE, Refused, Services


class Devices:
    """The calls about nodes."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def GetNode(self, request: node_pb2.GetNodeRequest, context: Any) -> node_pb2.GetNodeResponse:
        """Fetch one node."""
        answer = await self._services.registry.GetNode(
            registry_pb2.GetNodeRequest(id=request.node_id), timeout=DEADLINE
        )
        return node_pb2.GetNodeResponse(node=await self._shown(answer.node))

    async def ListNodes(self, request: node_pb2.ListNodesRequest, context: Any) -> node_pb2.ListNodesResponse:
        """List nodes, or those of the user with this name."""
        user_id = (await self._services.user_named(request.user)).id if request.user else 0
        answer = await self._services.registry.ListNodes(
            registry_pb2.ListNodesRequest(user_id=user_id), timeout=DEADLINE
        )
        users = convert.by_id(answer.users)
        keys = await self._services.keys() if any(node.pre_auth_key_id for node in answer.nodes) else {}
        return node_pb2.ListNodesResponse(nodes=[convert.node(node, users, keys) for node in answer.nodes])

    async def SetTags(self, request: node_pb2.SetTagsRequest, context: Any) -> node_pb2.SetTagsResponse:
        """Replace a node's tags."""
        answer = await self._services.registry.SetTags(
            registry_pb2.SetTagsRequest(id=request.node_id, tags=request.tags), timeout=DEADLINE
        )
        return node_pb2.SetTagsResponse(node=await self._shown(answer.node))

    async def SetApprovedRoutes(
        self, request: node_pb2.SetApprovedRoutesRequest, context: Any
    ) -> node_pb2.SetApprovedRoutesResponse:
        """Replace a node's approved routes."""
        answer = await self._services.registry.SetApprovedRoutes(
            registry_pb2.SetApprovedRoutesRequest(id=request.node_id, routes=request.routes), timeout=DEADLINE
        )
        return node_pb2.SetApprovedRoutesResponse(node=await self._shown(answer.node))

    async def DeleteNode(self, request: node_pb2.DeleteNodeRequest, context: Any) -> node_pb2.DeleteNodeResponse:
        """Delete a node."""
        await self._services.registry.DeleteNode(registry_pb2.DeleteNodeRequest(id=request.node_id), timeout=DEADLINE)
        return node_pb2.DeleteNodeResponse()

    async def ExpireNode(self, request: node_pb2.ExpireNodeRequest, context: Any) -> node_pb2.ExpireNodeResponse:
        """Set when a node's key ends."""
        if request.disable_expiry and request.HasField("expiry"):
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "expiry and disable_expiry exclude each other")
        answer = await self._services.registry.ExpireNode(
            registry_pb2.ExpireNodeRequest(
                id=request.node_id,
                expiry=request.expiry if request.HasField("expiry") else None,
                disable_expiry=request.disable_expiry,
            ),
            timeout=DEADLINE,
        )
        return node_pb2.ExpireNodeResponse(node=await self._shown(answer.node))

    async def RenameNode(self, request: node_pb2.RenameNodeRequest, context: Any) -> node_pb2.RenameNodeResponse:
        """Give a node another name."""
        answer = await self._services.registry.RenameNode(
            registry_pb2.RenameNodeRequest(id=request.node_id, new_name=request.new_name), timeout=DEADLINE
        )
        return node_pb2.RenameNodeResponse(node=await self._shown(answer.node))

    async def BackfillNodeIPs(
        self, request: node_pb2.BackfillNodeIPsRequest, context: Any
    ) -> node_pb2.BackfillNodeIPsResponse:
        """Give nodes the addresses that they lack."""
        if not request.confirmed:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "not confirmed: this gives nodes new addresses")
        answer = await self._services.registry.BackfillNodeIps(registry_pb2.BackfillNodeIpsRequest(), timeout=DEADLINE)
        return node_pb2.BackfillNodeIPsResponse(changes=answer.changes)

    async def RegisterNode(self, request: node_pb2.RegisterNodeRequest, context: Any) -> node_pb2.RegisterNodeResponse:
        """Approve a pending login for a user; the older spelling of AuthRegister."""
        return node_pb2.RegisterNodeResponse(node=await self._approve(request.user, request.key))

    async def AuthRegister(
        self, request: login_pb2.AuthRegisterRequest, context: Any
    ) -> login_pb2.AuthRegisterResponse:
        """Approve a pending login for a user."""
        return login_pb2.AuthRegisterResponse(node=await self._approve(request.user, request.auth_id))

    async def AuthApprove(self, request: login_pb2.AuthApproveRequest, context: Any) -> login_pb2.AuthApproveResponse:
        """Approve what waits for a yes. A login waits for a user instead, and says so."""
        await self._services.auth.GetPendingLogin(
            auth_pb2.GetPendingLoginRequest(auth_id=request.auth_id), timeout=DEADLINE
        )
        raise Refused(
            grpc.StatusCode.FAILED_PRECONDITION, "this login needs an owner: headscale auth register --user USER"
        )

    async def AuthReject(self, request: login_pb2.AuthRejectRequest, context: Any) -> login_pb2.AuthRejectResponse:
        """Refuse a pending login."""
        await self._services.auth.RejectLogin(auth_pb2.RejectLoginRequest(auth_id=request.auth_id), timeout=DEADLINE)
        return login_pb2.AuthRejectResponse()

    async def _approve(self, name: str, auth_id: str) -> node_pb2.Node:
        user = await self._services.user_named(name)
        answer = await self._services.auth.ApproveLogin(
            auth_pb2.ApproveLoginRequest(auth_id=auth_id, user_id=user.id), timeout=DEADLINE
        )
        return convert.node(answer.node, {user.id: user})

    async def _shown(self, node: registry_pb2.Node) -> node_pb2.Node:
        return convert.node(node, await self._services.users() if node.user_id else {})
