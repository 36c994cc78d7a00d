"""smartscale.admin.v1: what the clients of nodes report of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smartscale.admin.v1 import node_pb2
from smartscale.registry.v1 import registry_pb2
from smartscale.types.v1 import node_pb2 as node_types

from gateway.admin.calls.node_lists import NodeLists
from gateway.admin.context import CallContext
from gateway.admin.hostinfo import flag, hostinfo_of, network_report, text
from gateway.admin.services import Services

_PORT_MAPPING = {"UPnP": "upnp", "PMP": "nat-pmp", "PCP": "pcp"}


class NodeDescriptions:
    """Calls about the clients of nodes."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._lists = NodeLists(services)

    async def DescribeNodes(
        self, request: node_pb2.DescribeNodesRequest, call: CallContext
    ) -> node_pb2.DescribeNodesResponse:
        """Describe one node, or all, a page at a time."""
        if request.id:
            one = await call.ask(self._services.registry.GetNode, registry_pb2.GetNodeRequest(id=request.id))
            return node_pb2.DescribeNodesResponse(nodes=[describe(one.node)], total=1)
        wanted = registry_pb2.ListNodesRequest(after=request.after, limit=request.limit)
        found, total = await self._lists.records(call, wanted)
        return node_pb2.DescribeNodesResponse(nodes=map(describe, found), total=total)


def describe(node: node_types.Node) -> node_pb2.NodeDescription:
    """Describe the client of a node from its hostinfo; members of the wrong type are left out."""
    info = hostinfo_of(node)
    distribution = " ".join(filter(None, (text(info, f"Distro{part}") for part in ("", "Version", "CodeName"))))
    return node_pb2.NodeDescription(
        id=node.id,
        given_name=node.given_name,
        client_version=text(info, "IPNVersion"),
        capability_version=node.cap_version,
        os=text(info, "OS"),
        os_version=text(info, "OSVersion"),
        distribution=distribution,
        device_model=text(info, "DeviceModel"),
        online=node.online,
        last_seen=node.last_seen if node.HasField("last_seen") else None,
        home_derp=node.home_derp,
        endpoints=node.endpoints,
        network=_network(network_report(info)),
    )


def _network(report: Mapping[str, Any]) -> node_pb2.NetworkReport | None:
    if not report:
        return None
    return node_pb2.NetworkReport(
        udp=flag(report, "WorkingUDP"),
        ipv6=flag(report, "WorkingIPv6"),
        varying_mappings=flag(report, "MappingVariesByDestIP"),
        port_mapping=[word for name, word in _PORT_MAPPING.items() if report.get(name) is True],
    )
