"""Calls of administrators about one node, or about named nodes."""

from __future__ import annotations

from grpc.aio import ServicerContext
from smartscale.registry.v1 import registry_pb2 as pb

from services.registry.model import errors
from services.registry.rpc import requests
from services.registry.rpc.calls import STATUS, Calls
from services.registry.usecases.addresses import ChosenAddresses
from services.shared.rpc import answers


@answers(STATUS)
class NodeCalls(Calls):
    """Nodes as administrators change them."""

    async def GetNode(
        self, request: pb.GetNodeRequest, context: ServicerContext[pb.GetNodeRequest, pb.GetNodeResponse]
    ) -> pb.GetNodeResponse:
        """Return one node, by id, by given name or by stable id."""
        if request.stable_id and not (request.id or request.given_name):
            node, owner = await self._cases.listings.with_stable_id(request.stable_id)
        elif request.id or not request.given_name:
            node, owner = await self._cases.listings.get(requests.read_node_id(request.id))
        else:
            node, owner = await self._cases.listings.named(request.given_name)
        return pb.GetNodeResponse(node=self._node(node), user=self._optional_user(owner))

    async def ExpireNode(
        self,
        request: pb.ExpireNodeRequest,
        context: ServicerContext[pb.ExpireNodeRequest, pb.ExpireNodeResponse],
    ) -> pb.ExpireNodeResponse:
        """Set the expiry of a node's key."""
        expiry = requests.read_instant("expiry", request.expiry) if request.HasField("expiry") else None
        if request.restore_expiry:
            if expiry is not None or request.disable_expiry:
                raise errors.InvalidInputError("restore_expiry: excludes expiry and disable_expiry")
            restored = await self._cases.nodes.restore_expiry(requests.read_node_id(request.id))
            return pb.ExpireNodeResponse(node=self._node(restored))
        node = await self._cases.nodes.expire(requests.read_node_id(request.id), expiry, request.disable_expiry)
        return pb.ExpireNodeResponse(node=self._node(node))

    async def RenameNode(
        self,
        request: pb.RenameNodeRequest,
        context: ServicerContext[pb.RenameNodeRequest, pb.RenameNodeResponse],
    ) -> pb.RenameNodeResponse:
        """Rename a node."""
        node_id = requests.read_node_id(request.id)
        if request.from_hostname:
            return pb.RenameNodeResponse(node=self._node(await self._cases.nodes.rename_from_hostname(node_id)))
        node = await self._cases.nodes.rename(node_id, request.new_name)
        return pb.RenameNodeResponse(node=self._node(node))

    async def DeleteNode(
        self,
        request: pb.DeleteNodeRequest,
        context: ServicerContext[pb.DeleteNodeRequest, pb.DeleteNodeResponse],
    ) -> pb.DeleteNodeResponse:
        """Delete a node."""
        await self._cases.nodes.delete(requests.read_node_id(request.id))
        return pb.DeleteNodeResponse()

    async def SetTags(
        self, request: pb.SetTagsRequest, context: ServicerContext[pb.SetTagsRequest, pb.SetTagsResponse]
    ) -> pb.SetTagsResponse:
        """Replace a node's tags."""
        node = await self._cases.nodes.set_tags(requests.read_node_id(request.id), list(request.tags))
        return pb.SetTagsResponse(node=self._node(node))

    async def SetApprovedRoutes(
        self,
        request: pb.SetApprovedRoutesRequest,
        context: ServicerContext[pb.SetApprovedRoutesRequest, pb.SetApprovedRoutesResponse],
    ) -> pb.SetApprovedRoutesResponse:
        """Replace a node's approved routes."""
        node = await self._cases.nodes.approve_routes(requests.read_node_id(request.id), list(request.routes))
        return pb.SetApprovedRoutesResponse(node=self._node(node))

    async def CheckAddresses(
        self,
        request: pb.CheckAddressesRequest,
        context: ServicerContext[pb.CheckAddressesRequest, pb.CheckAddressesResponse],
    ) -> pb.CheckAddressesResponse:
        """Check addresses for a node that does not exist yet."""
        await self._cases.addresses.check(ChosenAddresses(request.ipv4, request.ipv6))
        return pb.CheckAddressesResponse()

    async def SetNodeAddress(
        self,
        request: pb.SetNodeAddressRequest,
        context: ServicerContext[pb.SetNodeAddressRequest, pb.SetNodeAddressResponse],
    ) -> pb.SetNodeAddressResponse:
        """Replace a node's addresses."""
        chosen = ChosenAddresses(request.ipv4, request.ipv6)
        node = await self._cases.addresses.set(requests.read_node_id(request.id), chosen)
        return pb.SetNodeAddressResponse(node=self._node(node))

    async def PreferRoutes(
        self,
        request: pb.PreferRoutesRequest,
        context: ServicerContext[pb.PreferRoutesRequest, pb.PreferRoutesResponse],
    ) -> pb.PreferRoutesResponse:
        """Prefer a router, or take the preference back."""
        node_id = requests.read_node_id(request.id)
        node = await self._cases.elections.prefer(node_id, list(request.routes), undo=request.undo)
        return pb.PreferRoutesResponse(node=self._node(node))

    async def BackfillNodeIps(
        self,
        request: pb.BackfillNodeIpsRequest,
        context: ServicerContext[pb.BackfillNodeIpsRequest, pb.BackfillNodeIpsResponse],
    ) -> pb.BackfillNodeIpsResponse:
        """Give nodes the addresses that they lack."""
        return pb.BackfillNodeIpsResponse(changes=await self._cases.nodes.backfill())

    async def ChangeAttributes(
        self,
        request: pb.ChangeAttributesRequest,
        context: ServicerContext[pb.ChangeAttributesRequest, pb.ChangeAttributesResponse],
    ) -> pb.ChangeAttributesResponse:
        """Set and remove posture attributes of nodes."""
        changes = list(map(requests.attribute_change, request.nodes))
        return pb.ChangeAttributesResponse(nodes=self._nodes(await self._cases.attributes.change(changes)))
