"""smartscale.admin.v1: nodes as the registry records them, by id or by stable id."""

from __future__ import annotations

from smartscale.admin.v1 import device_pb2 as pb
from smartscale.registry.v1 import registry_pb2

from gateway.admin.calls.node_lists import NodeLists
from gateway.admin.checks import MAX_ID
from gateway.admin.context import CallContext
from gateway.admin.refusal import invalid
from gateway.admin.services import Services


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
        if text.isascii() and text.isdigit() and len(text) < 20:
            wanted = registry_pb2.GetNodeRequest(id=min(int(text), MAX_ID))
        else:
            wanted = registry_pb2.GetNodeRequest(stable_id=text)
        found = await call.ask(self._services.registry.GetNode, wanted)
        return pb.GetDeviceResponse(node=found.node, user=found.user if found.HasField("user") else None)
