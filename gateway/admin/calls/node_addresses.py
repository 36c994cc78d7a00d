"""smartscale.admin.v1: addresses that administrators choose for nodes."""

from __future__ import annotations

from smartscale.admin.v1 import node_pb2
from smartscale.registry.v1 import registry_pb2

from gateway.admin.calls.node_lists import NodeLists
from gateway.admin.context import CallContext
from gateway.admin.refusal import invalid
from gateway.admin.services import Services


class NodeAddresses:
    """Calls about the addresses of nodes."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lists = NodeLists(services)

    async def SetAddresses(
        self, request: node_pb2.SetAddressesRequest, call: CallContext
    ) -> node_pb2.SetAddressesResponse:
        """Give a node addresses that it keeps."""
        ipv4 = [text for text in request.addresses if ":" not in text]
        ipv6 = [text for text in request.addresses if ":" in text]
        if not request.addresses:
            raise invalid("addresses", "must not be empty")
        if len(ipv4) > 1 or len(ipv6) > 1:
            raise invalid("addresses", "more than one of a family")
        node = await self._lists.one(call, request.node)
        wanted = registry_pb2.SetNodeAddressRequest(id=node.id, ipv4="".join(ipv4), ipv6="".join(ipv6))
        await call.ask(self._services.registry.SetNodeAddress, wanted)
        return node_pb2.SetAddressesResponse(node=await self._lists.one(call, str(node.id)))
