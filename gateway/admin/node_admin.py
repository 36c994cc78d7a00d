"""smartscale.admin.v1: nodes in the words of their clients; devices and SSH sessions that wait to be let in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import grpc.aio
import orjson
from smartscale.admin.v1 import node_pb2, pending_login_pb2
from smartscale.auth.v1 import auth_pb2
from smartscale.registry.v1 import registry_pb2
from smartscale.types.v1 import node_pb2 as node_types

from gateway.admin import answering
from gateway.admin.stubs import DEADLINE, Services
from services.shared.keys import MachineKey

_NODES = node_pb2.DESCRIPTOR.services_by_name["NodeAdminService"]
_LOGINS = pending_login_pb2.DESCRIPTOR.services_by_name["PendingLoginAdminService"]

_PORT_MAPPING = {"UPnP": "upnp", "PMP": "nat-pmp", "PCP": "pcp"}


class NodeAdmin:
    """The calls about nodes, against the registry."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def DescribeNodes(self, request: node_pb2.DescribeNodesRequest) -> node_pb2.DescribeNodesResponse:
        """Describe one node, or all."""
        registry = self._services.registry
        if request.id:
            found = [(await registry.GetNode(registry_pb2.GetNodeRequest(id=request.id), timeout=DEADLINE)).node]
        else:
            found = list((await registry.ListNodes(registry_pb2.ListNodesRequest(), timeout=DEADLINE)).nodes)
        return node_pb2.DescribeNodesResponse(nodes=[describe(node) for node in found])


class PendingLoginAdmin:
    """The calls about pending logins, against auth."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def ListPendingLogins(
        self, request: pending_login_pb2.ListPendingLoginsRequest
    ) -> pending_login_pb2.ListPendingLoginsResponse:
        """List the logins and SSH sessions that nobody has decided."""
        auth = self._services.auth
        answer = await auth.ListPendingLogins(auth_pb2.ListPendingLoginsRequest(), timeout=DEADLINE)
        sessions = await auth.ListSshChecks(auth_pb2.ListSshChecksRequest(), timeout=DEADLINE)
        return pending_login_pb2.ListPendingLoginsResponse(
            logins=[
                pending_login_pb2.PendingLogin(
                    auth_id=login.auth_id,
                    hostname=login.hostname,
                    os=login.os,
                    remote_address=login.remote_address,
                    machine_key=str(MachineKey(login.machine_key)),
                    created_at=login.created_at,
                    expires_at=login.expires_at,
                )
                for login in answer.logins
                if not login.decided
            ],
            ssh_sessions=[
                pending_login_pb2.PendingSshSession(
                    auth_id=check.auth_id,
                    source_id=check.source_id,
                    source=check.source_name,
                    user=check.user_name,
                    destination_id=check.destination_id,
                    destination=check.destination_name,
                    local_user=check.local_user,
                    created_at=check.created_at,
                    expires_at=check.expires_at,
                )
                for check in sessions.checks
            ],
        )


def describe(node: node_types.Node) -> node_pb2.NodeDescription:
    """What is known of a node's client. Its record was cleaned when it came; whatever is strange in it is left out."""
    said = _read(node.hostinfo)
    distribution = " ".join(filter(None, (_text(said, f"Distro{part}") for part in ("", "Version", "CodeName"))))
    return node_pb2.NodeDescription(
        id=node.id,
        given_name=node.given_name,
        client_version=_text(said, "IPNVersion"),
        capability_version=node.cap_version,
        os=_text(said, "OS"),
        os_version=_text(said, "OSVersion"),
        distribution=distribution,
        device_model=_text(said, "DeviceModel"),
        online=node.online,
        last_seen=node.last_seen if node.HasField("last_seen") else None,
        home_derp=node.home_derp,
        endpoints=node.endpoints,
        network=_network(said.get("NetInfo")),
    )


def _network(report: object) -> node_pb2.NetworkReport | None:
    if not isinstance(report, dict):
        return None
    return node_pb2.NetworkReport(
        udp=_flag(report, "WorkingUDP"),
        ipv6=_flag(report, "WorkingIPv6"),
        varying_mappings=_flag(report, "MappingVariesByDestIP"),
        port_mapping=[word for name, word in _PORT_MAPPING.items() if report.get(name) is True],
    )


def _read(hostinfo: bytes) -> dict[str, Any]:
    try:
        said = orjson.loads(hostinfo or b"{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""


def _flag(report: Mapping[str, Any], name: str) -> bool | None:
    value = report.get(name)
    return value if isinstance(value, bool) else None


def registrations(services: Services) -> tuple[tuple[str, Callable[[grpc.aio.Server], None]], ...]:
    """Both services by name, as listeners want them; every failure becomes a status with a text for people."""

    def nodes(server: grpc.aio.Server) -> None:
        answering.add_to(server, _NODES, NodeAdmin(services))

    def logins(server: grpc.aio.Server) -> None:
        answering.add_to(server, _LOGINS, PendingLoginAdmin(services))

    return ((_NODES.full_name, nodes), (_LOGINS.full_name, logins))
