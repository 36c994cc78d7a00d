"""Documents of odd shape, and any text at all, are compiled or refused, and nothing else."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.policy.model.compiler import compile_policy
from services.policy.model.text.problems import PolicyError
from services.shared.access.compiled import CompiledPolicy
from services.shared.access.evaluator import Access
from services.shared.access.inputs import AccessNode
from tests.unit.access.random_tailnets import (
    USERS,
)

json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=12)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)
WORDS = ["src", "dst", "action", "users", "ip", "app", "via", "target", "attr", "ipPool", "routes", "exitNode", "proto"]
SECTIONS = ["acls", "grants", "ssh", "groups", "hosts", "tagOwners", "nodeAttrs", "autoApprovers", "tests", "sshTests"]
SECTIONS += [
    "ipsets",
    "postures",
    "derpMap",
    "defaultSrcPosture",
    "OneCGNATRoute",
    "disableIPv4",
    "randomizeClientPort",
]
values = st.one_of(
    json_values, st.sampled_from(["*", "*:*", "tag:a", "tag:a:22", "autogroup:self", "accept", "check", "[::1]:1"])
)
rule_like = st.dictionaries(st.sampled_from(WORDS), st.one_of(values, st.lists(values, max_size=3)), max_size=5)
documents = st.dictionaries(
    st.sampled_from(SECTIONS), st.one_of(values, rule_like, st.lists(st.one_of(rule_like, values), max_size=3))
)


@settings(max_examples=400, deadline=None)
@given(documents)
def test_no_document_of_odd_shape_raises_anything_but_a_refusal(document: dict[str, Any]) -> None:
    for text in (json.dumps(document), json.dumps(document)[:-1], json.dumps(document, indent=1)):
        for name in ("", "policy.yaml"):
            _compile_or_refuse(text, name)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(), st.text(alphabet='{}[]",:/*#&!|>-~ \n\\ua10')))
def test_no_text_raises_anything_but_a_refusal(text: str) -> None:
    for name in ("", "policy.yaml", "policy.hujson"):
        _compile_or_refuse(text, name)


def _compile_or_refuse(text: str, name: str) -> None:
    try:
        document = compile_policy(text, name=name)
    except PolicyError as error:
        assert error.lines
        return
    nodes = [AccessNode(1, 1, (), "100.64.0.1", "fd7a:115c:a1e0::1")]
    found = Access(document.policy, USERS, nodes)
    found.packet_filter(1)
    found.ssh_policy(1)
    found.self_caps(1)
    assert CompiledPolicy.from_bytes(document.policy.to_bytes()) == document.policy
