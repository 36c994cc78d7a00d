"""What is refused in one place is refused in its like in another, in the same words."""

from __future__ import annotations

from typing import Any

import pytest

from services.policy.compile import run
from services.policy.model.compiler import compile_policy
from services.policy.model.text.problems import PolicyError
from tests.unit.policy.test_semantics import TAGS, TOPOLOGY, allow, compiled, refused

DOMAINS = TOPOLOGY | {"tailnet": {"domains": ["example.com"]}}
FOREIGN = "[{}] example.org is not associated with this Tailnet and cannot be used in user:*@<domain> expressions"


def ssh(**more: Any) -> dict[str, Any]:
    return {"ssh": [{"action": "accept", "src": ["ada@"], "dst": ["tag:dev"], "users": ["root"]} | more]}


def grant(**more: Any) -> dict[str, Any]:
    return {"grants": [{"src": ["*"], "dst": ["tag:dev"], "ip": ["22"]} | more]}


@pytest.mark.parametrize(
    ("section", "policy"),
    [
        ("acls", allow("user:*@{}", "*:*")),
        ("acls", allow("*", "user:*@{}:22")),
        ("grants", grant(src=["user:*@{}"])),
        ("grants", grant(dst=["user:*@{}"])),
        ("ssh", ssh(src=["user:*@{}"])),
        ("nodeAttrs", {"nodeAttrs": [{"target": ["user:*@{}"], "attr": ["funnel"]}]}),
        ("tagOwners", {"tagOwners": TAGS | {"tag:new": ["user:*@{}"]}}),
        ("autoApprovers", {"autoApprovers": {"routes": {"10.0.0.0/8": ["user:*@{}"]}}}),
        ("autoApprovers", {"autoApprovers": {"exitNode": ["user:*@{}"]}}),
    ],
)
def test_people_of_a_foreign_domain_are_named_nowhere(section: str, policy: dict[str, Any]) -> None:
    text = repr({"tagOwners": TAGS} | policy).replace("'", '"')
    assert "errors" not in run(text.replace("{}", "example.com"), DOMAINS)
    answer = run(text.replace("{}", "example.org"), DOMAINS)
    assert FOREIGN.format(section) in "\n".join(answer["errors"])
    assert "errors" not in run(text.replace("{}", "example.org"), TOPOLOGY)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (ssh(src=["autogroup:shared"]), "autogroup not supported for SSH sources"),
        (
            {"nodeAttrs": [{"target": ["autogroup:shared"], "attr": ["x"]}]},
            "nodeAttrs target does not support this autogr",
        ),
        ({"tagOwners": TAGS | {"tag:new": ["autogroup:shared"]}}, 'invalid owner format: "autogroup:shared"'),
        ({"autoApprovers": {"exitNode": ["autogroup:shared"]}}, 'invalid auto approver format: "autogroup:shared"'),
        (allow("*", "autogroup:shared:22"), "autogroup not supported for ACL destinations"),
    ],
)
def test_people_of_other_tailnets_are_sources_of_access_only(policy: dict[str, Any], message: str) -> None:
    compiled(allow("autogroup:shared", "tag:dev:22"))
    assert message in refused(policy)


@pytest.mark.parametrize("name", ["user:*@example.com", "tag:x@y", "localpart:*@example.com"])
def test_a_group_lists_users_only(name: str) -> None:
    assert f'group members can only be users, got: "{name}"' in refused({"groups": {"group:a": [name]}})


@pytest.mark.parametrize(
    ("dst", "why"),
    [
        ("*", "wildcard (*) is not supported as SSH destination"),
        ("100.64.0.7", "alias not supported for SSH destination: 100.64.0.7"),
        ("10.0.0.0/8", "alias not supported for SSH destination: 10.0.0.0/8"),
        ("group:a", "alias not supported for SSH destination: group:a"),
        ("autogroup:internet", 'autogroup not supported for SSH destinations: "autogroup:internet", can be ['),
        ("autogroup:admin", 'autogroup not supported for SSH destinations: "autogroup:admin", can be ['),
        ("autogroup:shared", 'autogroup not supported for SSH destinations: "autogroup:shared", can be ['),
        ("autogroup:nonroot", 'autogroup not supported for SSH destinations: "autogroup:nonroot", can be ['),
        ("host", ""),
    ],
)
def test_what_is_no_destination_of_ssh_is_named_as_the_hosted_service_does(dst: str, why: str) -> None:
    defined = {"groups": {"group:a": ["ada@"]}, "hosts": {"host": "100.64.0.7"}}
    text = refused(defined | ssh(dst=[dst]))
    assert f'invalid dst "{dst}"' in text
    assert why in text


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (ssh(src=["autogroup:nonroot"]), 'autogroup not supported for SSH sources: "autogroup:nonroot", can be ['),
        (
            {"nodeAttrs": [{"target": ["autogroup:nonroot"], "attr": ["x"]}]},
            'nodeAttrs target does not support this autogroup: "autogroup:nonroot", can be [',
        ),
        (
            {"nodeAttrs": [{"target": ["svc:web"], "attr": ["x"]}]},
            'nodeAttrs target does not support services: "svc:web"',
        ),
        (
            {"ipsets": {"ipset:a": []}, "nodeAttrs": [{"target": ["ipset:a"], "attr": ["x"]}]},
            'nodeAttrs target does not support ipsets: "ipset:a"',
        ),
        ({"tests": [{"src": "ada@", "User": "ada@", "accept": []}]}, 'both "User" and "src" in one rule'),
        ({"tests": [{"src": "ada@", "allow": [], "accept": []}]}, 'both "allow" and "accept" in one rule'),
        ({"acls": [{"action": "accept", "users": ["*"], "src": ["*"]}]}, 'both "users" and "src" in one rule'),
        ('{"acls": null, "ACLs": []}', 'duplicate field: "ACLs"'),
        (
            '{"grants": [{"src": ["*"], "dst": ["*"], "app": {"a.b/c": [{"x": [{"y": 1, "z": 2, "y": 3}]}]}}]}',
            'grants[0].app: duplicate key: "y" (line 1, column 84)',
        ),
        (
            '{"nodeAttrs": [{"target": ["*"], "app": {"a.b/c": [{"y": 1, "y": 1}]}}]}',
            'nodeAttrs[0].app: duplicate key: "y"',
        ),
        ('{"acls": [], "disableIPv4": "true"}', "disableIPv4: expected true or false, got string"),
    ],
)
def test_neighbours_of_a_mistake_are_refused_alike(policy: dict[str, Any] | str, message: str) -> None:
    assert message in refused(policy)


@pytest.mark.parametrize(
    "tests",
    [
        {"tests": [{"src": 5, "accept": ["tag:dev:22"]}]},
        {"tests": [{"src": "ada@", "accept": "tag:dev:22"}]},
        {"tests": [{"src": "ada@", "accept": ["tag:dev:22"], "wanted": 1}]},
        {"tests": {"src": "ada@"}},
        {"sshTests": [{"src": "ada@", "dst": "tag:dev", "accept": ["root"]}]},
    ],
)
def test_a_test_that_cannot_be_read_failed(tests: dict[str, Any]) -> None:
    assert "test(s) failed:" in refused(tests)
    with pytest.raises(PolicyError, match="parsing policy:"):
        compile_policy(repr(tests).replace("'", '"'))


def test_environment_patterns_are_copied_and_other_names_trimmed() -> None:
    rule = ssh(action=" accept ", src=["\tada@ "], dst=[" tag:dev"], users=[" root"], acceptEnv=[" A*", "B"])
    (sent,) = compiled(rule)["nodes"]["dev"]["ssh"]
    assert (sent["sshUsers"], sent["acceptEnv"]) == ({"root": "root"}, [" A*", "B"])
    assert "acceptEnv values cannot be empty" in refused(ssh(acceptEnv=["A", " "]))


def test_yaml_has_true_without_quotes_only() -> None:
    assert compile_policy("disableIPv4: True\nacls: []\n").policy.disable_ipv4
    with pytest.raises(PolicyError, match="expected true or false, got string"):
        compile_policy('disableIPv4: "true"\nacls: []\n')
