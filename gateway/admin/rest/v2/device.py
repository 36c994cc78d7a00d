"""A node in the hosted service's shape of a device. Pure translation.

What this server does not know is left out, never made up: posture identities, latencies by region name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from smartscale.types.v1 import node_pb2, user_pb2

from gateway.admin.hostinfo import flag, hostinfo_of, network_report, text
from services.shared.keys import MachineKey, NodeKey

NEVER = "0001-01-01T00:00:00Z"
"""The time that the hosted service's clients read as no expiry."""
TAGGED = "tagged-devices"
_SUPPORTS = {"ipv6": "WorkingIPv6", "pcp": "PCP", "pmp": "PMP", "udp": "WorkingUDP", "upnp": "UPnP"}
_DISTRO = {"name": "Distro", "version": "DistroVersion", "codeName": "DistroCodeName"}


def device(node: node_pb2.Node, owner: user_pb2.User | None, domain: str, *, whole: bool) -> dict[str, Any]:
    """Return a device; `domain` is that of MagicDNS names, `whole` adds what `fields=all` asks for."""
    info = hostinfo_of(node)
    found: dict[str, Any] = {
        "addresses": [address for address in (node.ipv4, node.ipv6) if address],
        "id": str(node.id),
        "nodeId": node.stable_id,
        "user": login_name(owner) if owner is not None else TAGGED,
        "name": f"{node.given_name}.{domain}" if domain else node.given_name,
        "hostname": node.hostname,
        "clientVersion": text(info, "IPNVersion"),
        "updateAvailable": False,
        "os": text(info, "OS"),
        "created": time_text(node.created_at),
        "connectedToControl": node.online,
        "keyExpiryDisabled": not node.HasField("expiry"),
        "expires": time_text(node.expiry) if node.HasField("expiry") else NEVER,
        "authorized": True,
        "isExternal": False,
        "machineKey": str(MachineKey(node.machine_key)),
        "nodeKey": str(NodeKey(node.node_key)),
        "blocksIncomingConnections": info.get("ShieldsUp") is True,
        "tailnetLockKey": "",
        "tailnetLockError": "",
        "isEphemeral": node.ephemeral,
    }
    if not node.online and node.HasField("last_seen"):
        found["lastSeen"] = time_text(node.last_seen)
    if node.tags:
        found["tags"] = list(node.tags)
    return {**found, **_more(node, info)} if whole else found


def routes(node: node_pb2.Node) -> dict[str, list[str]]:
    """Return the routes of a device: those that it offers, and those that are approved."""
    return {"advertisedRoutes": list(node.advertised_routes), "enabledRoutes": list(node.approved_routes)}


def login_name(user: user_pb2.User) -> str:
    """Return the name that a user signs in with: the e-mail address where there is one."""
    return user.email or user.name or user.provider_id


def time_text(stamp: Timestamp) -> str:
    """Return a time in RFC 3339, in UTC."""
    return stamp.ToJsonString()


def _more(node: node_pb2.Node, info: Mapping[str, Any]) -> dict[str, Any]:
    report = network_report(info)
    supports: dict[str, bool | None] = {"hairPinning": None}
    supports.update({name: flag(report, member) for name, member in _SUPPORTS.items()})
    found: dict[str, Any] = {
        **routes(node),
        "clientConnectivity": {
            "endpoints": list(node.endpoints),
            "mappingVariesByDestIP": report.get("MappingVariesByDestIP") is True,
            "clientSupports": supports,
        },
        "sshEnabled": bool(info.get("sshHostKeys")),
    }
    if text(info, "Distro"):
        found["distro"] = {name: text(info, member) for name, member in _DISTRO.items()}
    return found
