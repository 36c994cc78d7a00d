"""The stored hostinfo of a node as administrators are shown it. Members of a wrong type count as absent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from smartscale.types.v1 import node_pb2


def hostinfo_of(node: node_pb2.Node) -> Mapping[str, Any]:
    """Return the members of a node's hostinfo; none where it cannot be read."""
    try:
        found = orjson.loads(node.hostinfo or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def network_report(hostinfo: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `NetInfo`, which the client measured of its network; empty where it sent none."""
    found = hostinfo.get("NetInfo")
    return found if isinstance(found, dict) else {}


def text(members: Mapping[str, Any], name: str) -> str:
    """Return a text member; empty where it is absent."""
    value = members.get(name)
    return value if isinstance(value, str) else ""


def flag(members: Mapping[str, Any], name: str) -> bool | None:
    """Return a boolean member; None where it is absent."""
    value = members.get(name)
    return value if isinstance(value, bool) else None
