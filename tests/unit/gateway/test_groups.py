"""Which groups administrators are shown, and who says so."""

from __future__ import annotations

import pytest
from smartscale.types.v1 import user_pb2 as user_types

from gateway.admin.calls.memberships import Memberships
from services.shared.access.compiled import (
    Alias,
    AliasKind,
    ApprovalRule,
    CompiledPolicy,
    Grant,
    NodeAttributes,
    SshRule,
)

OPS = Alias(AliasKind.GROUP, "group:ops")
TAG = Alias(AliasKind.TAG, "tag:a")


@pytest.mark.parametrize(
    "policy",
    [
        CompiledPolicy(grants=(Grant((OPS,), (TAG,)),)),
        CompiledPolicy(ssh=(SshRule(False, (TAG,), (OPS,), ("root",)),)),
        CompiledPolicy(node_attributes=(NodeAttributes((OPS,), ("funnel",)),)),
        CompiledPolicy(tag_owners=(ApprovalRule("tag:a", (OPS,)),)),
        CompiledPolicy(route_approvers=(ApprovalRule("10.0.0.0/8", (OPS,)),)),
        CompiledPolicy(service_approvers=(ApprovalRule("svc:a", (OPS,)),)),
        CompiledPolicy(exit_approvers=(OPS,)),
    ],
    ids=["grants", "ssh", "nodeAttrs", "tagOwners", "routes", "services", "exit nodes"],
)
def test_a_group_that_a_policy_only_names_is_listed_wherever_it_is_named(policy: CompiledPolicy) -> None:
    groups = Memberships(policy, [user_types.User(id=1, name="ann")], [])
    (found,) = groups.all()
    assert (found.name, found.in_policy, found.members) == ("ops", False, 0)
