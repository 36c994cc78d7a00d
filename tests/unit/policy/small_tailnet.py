"""A small tailnet that policies are compiled for, and what of them its nodes are told."""

from __future__ import annotations

import json
from typing import Any

from services.policy.compile import run

V6 = "fd7a:115c:a1e0::"
ALL = {"First": 0, "Last": 65535}
WILDCARD = ["100.115.94.0-100.127.255.255", "100.64.0.0-100.115.91.255", "fd7a:115c:a1e0::/48"]
TAGS = {f"tag:{name}": ["ada@example.com"] for name in ("dev", "staging", "prod", "router", "exit")}
TOPOLOGY: dict[str, Any] = {
    "users": [
        {"id": 1, "name": "ada", "email": "ada@example.com", "role": "owner"},
        {"id": 2, "name": "bob", "email": "bob@example.com", "role": "member"},
    ],
    "nodes": {
        "laptop": {"id": 1, "ipv4": "100.64.0.1", "ipv6": V6 + "1", "user": "ada", "attributes": {"node:os": "linux"}},
        "phone": {"id": 3, "ipv4": "100.64.0.3", "ipv6": V6 + "3", "user": "ada", "attributes": {"node:os": "ios"}},
        "tablet": {"id": 5, "ipv4": "100.64.0.5", "ipv6": V6 + "5", "user": "bob"},
        "dev": {"id": 7, "ipv4": "100.64.0.7", "ipv6": V6 + "7", "tags": ["tag:dev"]},
        "prod": {"id": 9, "ipv4": "100.64.0.9", "ipv6": V6 + "9", "tags": ["tag:prod"]},
        "router": {
            "id": 11,
            "ipv4": "100.64.0.11",
            "ipv6": V6 + "b",
            "tags": ["tag:router"],
            "routable_ips": ["10.1.0.0/16"],
        },
        "exit": {
            "id": 13,
            "ipv4": "100.64.0.13",
            "ipv6": V6 + "d",
            "tags": ["tag:exit"],
            "routable_ips": ["0.0.0.0/0", "::/0"],
        },
    },
    "tailnet": {"server_url": "https://unused"},
}
APPROVE = {"routes": {"10.0.0.0/8": ["tag:router"]}, "exitNode": ["tag:exit"]}


def compiled(policy: dict[str, Any] | str, name: str = "") -> Any:
    """What `policy compile` says of a document."""
    text = policy if isinstance(policy, str) else json.dumps({"tagOwners": TAGS, "autoApprovers": APPROVE} | policy)
    answer = run(text, TOPOLOGY, name=name)
    assert "errors" not in answer, answer["errors"]
    return answer


def refused(policy: dict[str, Any] | str, name: str = "") -> str:
    """The refusals of a document."""
    text = policy if isinstance(policy, str) else json.dumps({"tagOwners": TAGS} | policy)
    answer = run(text, TOPOLOGY, name=name)
    assert list(answer) == ["errors"]
    return "\n".join(answer["errors"])


def allow(source: str, *destinations: str, **more: Any) -> dict[str, Any]:
    """A document with one rule."""
    return {"acls": [{"action": "accept", "src": [source], "dst": list(destinations), **more}]}


def filter_of(answer: Any, node: str) -> Any:
    """The packet filter of a node."""
    return answer["nodes"][node]["packet_filter"]


def peers_of(answer: Any, node: str) -> set[str]:
    """Whom a node sees."""
    return set(answer["nodes"][node]["peers"])
