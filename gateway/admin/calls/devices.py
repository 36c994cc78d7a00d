"""smartscale.admin.v1: nodes as the registry records them, by id or by stable id."""

from __future__ import annotations

from smartscale.admin.v1 import device_pb2 as pb
from smartscale.registry.v1 import registry_pb2

from gateway.admin.calls.node_lists import NodeLists
from gateway.admin.context import CallContext
from gateway.admin.refusal import invalid
from gateway.admin.services import Services

CHANGE_DEADLINE = 60.0
"""Deadline in seconds of changes of many nodes."""


class Devices:
    """Calls about whole records of nodes."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lists = NodeLists(services)

    async def ListDevices(self, request: pb.ListDevicesRequest, call: CallContext) -> pb.ListDevicesResponse:
        """List nodes ordered by id, a page at a time."""
        wanted = registry_pb2.ListNodesRequest(after=request.after, limit=request.limit)
        nodes, total = await self._lists.records(call, wanted)
        return pb.ListDevicesResponse(nodes=nodes, total=total)

    async def GetDevice(self, request: pb.GetDeviceRequest, call: CallContext) -> pb.GetDeviceResponse:
        """Return one node by its id or its stable id."""
        text = request.device
        if not text:
            raise invalid("device", "must not be empty")
        found = await self._services.node_named(call, text, "stable_id")
        return pb.GetDeviceResponse(node=found.node, user=found.user if found.HasField("user") else None)

    async def RenameDevice(self, request: pb.RenameDeviceRequest, call: CallContext) -> pb.RenameDeviceResponse:
        """Rename a node, or give it the name that follows from its hostname."""
        node_id = await self._id(request.device, call)
        wanted = registry_pb2.RenameNodeRequest(id=node_id, new_name=request.name, from_hostname=not request.name)
        return pb.RenameDeviceResponse(node=(await call.ask(self._services.registry.RenameNode, wanted)).node)

    async def SetDeviceKeyExpiry(
        self, request: pb.SetDeviceKeyExpiryRequest, call: CallContext
    ) -> pb.SetDeviceKeyExpiryResponse:
        """Disable the expiry of a node's key, or restore it."""
        node_id = await self._id(request.device, call)
        wanted = registry_pb2.ExpireNodeRequest(
            id=node_id, disable_expiry=request.disabled, restore_expiry=not request.disabled
        )
        return pb.SetDeviceKeyExpiryResponse(node=(await call.ask(self._services.registry.ExpireNode, wanted)).node)

    async def SetDeviceAddress(
        self, request: pb.SetDeviceAddressRequest, call: CallContext
    ) -> pb.SetDeviceAddressResponse:
        """Replace a node's IPv4 address."""
        node_id = await self._id(request.device, call)
        wanted = registry_pb2.SetNodeAddressRequest(id=node_id, ipv4=request.ipv4)
        return pb.SetDeviceAddressResponse(node=(await call.ask(self._services.registry.SetNodeAddress, wanted)).node)

    async def SetDeviceAttributes(
        self, request: pb.SetDeviceAttributesRequest, call: CallContext
    ) -> pb.SetDeviceAttributesResponse:
        """Set and remove posture attributes of one node."""
        node = registry_pb2.NodeAttributes(node=request.device, attributes=request.attributes)
        wanted = registry_pb2.ChangeAttributesRequest(nodes=[node])
        answer = await call.ask(self._services.registry.ChangeAttributes, wanted)
        return pb.SetDeviceAttributesResponse(node=answer.nodes[0])

    async def ChangeAttributes(
        self, request: pb.ChangeAttributesRequest, call: CallContext
    ) -> pb.ChangeAttributesResponse:
        """Set and remove posture attributes of several nodes."""
        nodes = [registry_pb2.NodeAttributes(node=one.device, attributes=one.attributes) for one in request.devices]
        wanted = registry_pb2.ChangeAttributesRequest(nodes=nodes)
        await call.ask(self._services.registry.ChangeAttributes, wanted, CHANGE_DEADLINE)
        return pb.ChangeAttributesResponse()

    async def _id(self, device: str, call: CallContext) -> int:
        found = await self.GetDevice(pb.GetDeviceRequest(device=device), call)
        return found.node.id
