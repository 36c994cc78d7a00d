"""The cost of a policy in the lengths of its lists: their sum, never the product of two of them.

Cost is counted in calls of Python functions and in bytes, so it is the same on every machine.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from services.policy.model.checks.testing import run_tests
from services.policy.model.compiler import Document, compile_policy
from services.policy.model.text.problems import PolicyError
from services.shared.access.compiled import CompiledPolicy
from services.shared.access.evaluator import Access
from services.shared.access.inputs import AccessNode, AccessUser

FEW, MANY = 60, 240
STEEPEST = 1.8
"""Growth of the cost over growth of the lists; a product of two lists of equal length shows as 4."""

USERS = [AccessUser(1, "ada", "ada@example.com")]
NODES = [
    AccessNode(1, 1, (), "100.64.0.1", "fd7a:115c:a1e0::1"),
    AccessNode(2, 0, ("tag:t1",), "100.64.0.2", "fd7a:115c:a1e0::2"),
    AccessNode(3, 1, (), "100.64.0.3", "fd7a:115c:a1e0::3", ("10.0.0.0/8",), ("10.0.0.0/8",)),
]


def _hosts(count: int, second: int) -> list[str]:
    return [f"10.{second}.{number // 250}.{number % 250}" for number in range(count)]


def _people(count: int) -> list[str]:
    return [f"u{number}@example.com" for number in range(count)]


def _tags(count: int) -> dict[str, list[str]]:
    return {f"tag:t{number}": ["ada@example.com"] for number in range(count)}


SHAPES: dict[str, Callable[[int], dict[str, Any]]] = {
    "sources and destinations of a rule": lambda n: {
        "acls": [{"action": "accept", "src": _hosts(n, 1), "dst": [f"{host}:22" for host in _hosts(n, 2)]}]
    },
    "sources and destinations of rules that repeat them": lambda n: {
        "acls": [
            {"action": "accept", "src": _hosts(n, 1), "dst": [f"{host}:{port}" for host in _hosts(n, 2)]}
            for port in (22, 80, 443)
        ]
    },
    "people and tags of a rule": lambda n: {
        "tagOwners": _tags(n),
        "acls": [{"action": "accept", "src": _people(n), "dst": [f"{tag}:22" for tag in _tags(n)]}],
    },
    "sources and destinations of a grant": lambda n: {
        "grants": [{"src": _hosts(n, 1), "dst": _hosts(n, 2), "ip": ["22"]}]
    },
    "sources and ports of a grant": lambda n: {
        "grants": [{"src": _hosts(n, 1), "dst": ["10.2.0.1"], "ip": [str(1 + 2 * port) for port in range(n)]}]
    },
    "rules with the same group": lambda n: {
        "groups": {"group:all": _people(n)},
        "acls": [{"action": "accept", "src": ["group:all"], "dst": [f"{host}:22"]} for host in _hosts(n, 2)],
    },
    "sources and users of an SSH rule": lambda n: {
        "ssh": [
            {
                "action": "accept",
                "src": _people(n),
                "dst": ["autogroup:tagged"],
                "users": [f"login{number}" for number in range(n)],
            }
        ]
    },
    "sources and destinations of an SSH rule": lambda n: {
        "tagOwners": _tags(n),
        "ssh": [{"action": "accept", "src": _people(n), "dst": list(_tags(n)), "users": ["root"]}],
    },
    "targets and attributes": lambda n: {
        "tagOwners": _tags(n),
        "nodeAttrs": [{"target": list(_tags(n)), "attr": [f"custom:a{number}" for number in range(n)]}],
    },
    "routes and approvers": lambda n: {
        "autoApprovers": {"routes": {f"{host}/32": ["ada@example.com"] for host in _hosts(n, 2)}}
    },
    "tests and what each expects": lambda n: {
        "acls": [{"action": "accept", "src": ["ada@example.com"], "dst": ["*:*"]}],
        "tests": [{"src": "ada@example.com", "accept": [f"{host}:22" for host in _hosts(n, 2)]}],
    },
}


def _calls(work: Callable[[], Any]) -> tuple[int, Any]:
    """Run the work; the number of calls of Python functions that it made, and what it returned."""
    count = 0

    def profile(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(profile)
    try:
        result = work()
    finally:
        sys.setprofile(None)
    return count, result


def _whole(text: str) -> tuple[Document, bytes]:
    """All that a policy goes through from its text to the filters of nodes."""
    document = compile_policy(text)
    stored = document.policy.to_bytes()
    policy = CompiledPolicy.from_bytes(stored)
    access = Access(policy, USERS, NODES)
    for node in NODES:
        access.packet_filter(node.id)
        access.ssh_policy(node.id)
        access.self_caps(node.id)
        access.peers_of(node.id)
    run_tests(document, USERS, NODES)
    return document, stored


@pytest.mark.parametrize("shape", SHAPES)
def test_the_cost_of_a_policy_grows_with_its_text(shape: str) -> None:
    few, many = (json.dumps(SHAPES[shape](count)) for count in (FEW, MANY))
    _whole(few)  # what is made once, such as patterns, is made now
    calls_few, (_, bytes_few) = _calls(lambda: _whole(few))
    calls_many, (document, bytes_many) = _calls(lambda: _whole(many))
    assert calls_many / calls_few < STEEPEST * MANY / FEW
    assert len(bytes_many) / len(bytes_few) < STEEPEST * MANY / FEW
    assert CompiledPolicy.from_bytes(bytes_many) == document.policy


def test_more_pairs_of_destinations_and_ports_than_a_filter_can_hold_are_refused() -> None:
    ports = [str(1 + 2 * port) for port in range(1000)]
    grant = {"src": ["*"], "dst": _hosts(1000, 2), "ip": ports}
    with pytest.raises(PolicyError, match="1000000 pairs of a destination and ports"):
        compile_policy(json.dumps({"grants": [grant]}))
