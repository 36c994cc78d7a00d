"""Services in `policy compile` and its kin: what a described service gives its hosts and those who may reach it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.policy.compile import run
from services.policy.explain import explain, preview
from tests.unit.policy.small_tailnet import ALL, TAGS, TOPOLOGY, V6, filter_of, peers_of

WEB = {"ipv4": "100.65.32.1", "ipv6": V6 + "1234"}
SHOWN = ["100.65.32.1/32", V6 + "1234/128"]
APPROVED = {"services": {"svc:web": ["tag:dev", "tag:prod"]}}
TO_WEB = {"src": ["ada@example.com"], "dst": ["svc:web"], "ip": ["tcp:443"]}


def policy(*grants: dict[str, Any], approvers: dict[str, Any] | None = None, **more: Any) -> str:
    chosen = APPROVED if approvers is None else approvers
    return json.dumps({"tagOwners": TAGS, "autoApprovers": chosen, "grants": list(grants)} | more)


def described(services: dict[str, Any], **nodes: dict[str, Any]) -> dict[str, Any]:
    changed = {name: node | nodes.get(name, {}) for name, node in TOPOLOGY["nodes"].items()}
    return TOPOLOGY | {"nodes": changed, "services": services}


def compiled(text: str, services: dict[str, Any], **nodes: dict[str, Any]) -> Any:
    answer = run(text, described(services, **nodes))
    assert "errors" not in answer, answer["errors"]
    return answer


def allowed(answer: Any, viewer: str, peer: str) -> list[str]:
    found: list[str] = answer["nodes"][viewer]["peers"][peer]["allowed_ips"]
    return found


def test_a_service_concerns_its_hosts_and_those_who_may_reach_it() -> None:
    answer = compiled(policy(TO_WEB), {"svc:web": WEB})
    rule = {
        "SrcIPs": ["100.64.0.1", "100.64.0.3", V6 + "1", V6 + "3"],
        "DstPorts": [{"IP": text, "Ports": {"First": 443, "Last": 443}} for text in ("100.65.32.1", V6 + "1234")],
        "IPProto": [6],
    }
    for host in ("dev", "prod"):
        assert filter_of(answer, host) == [rule]
        assert answer["nodes"][host]["cap_map"]["service-host"] == [{"svc:web": ["100.65.32.1", V6 + "1234"]}]
        assert peers_of(answer, host) == {"laptop", "phone"}
    for other in ("laptop", "phone", "tablet", "router", "exit"):
        assert filter_of(answer, other) == []
        assert "service-host" not in answer["nodes"][other]["cap_map"]
    assert peers_of(answer, "laptop") == {"dev", "prod"}
    assert peers_of(answer, "tablet") == set()


def test_of_several_hosts_the_oldest_that_is_online_has_the_addresses() -> None:
    answer = compiled(policy(TO_WEB), {"svc:web": WEB})
    assert allowed(answer, "laptop", "dev") == ["100.64.0.7/32", V6 + "7/128", *SHOWN]
    assert allowed(answer, "laptop", "prod") == ["100.64.0.9/32", V6 + "9/128"]
    assert answer["nodes"]["laptop"]["peers"]["dev"]["addresses"] == ["100.64.0.7/32", V6 + "7/128"]
    assert answer["nodes"]["laptop"]["peers"]["dev"]["primary_routes"] == []
    answer = compiled(policy(TO_WEB), {"svc:web": WEB}, dev={"online": False})
    assert allowed(answer, "laptop", "dev") == ["100.64.0.7/32", V6 + "7/128"]
    assert allowed(answer, "laptop", "prod") == ["100.64.0.9/32", V6 + "9/128", *SHOWN]


def test_who_sees_a_host_is_not_for_that_shown_its_services() -> None:
    to_host = {"src": ["bob@example.com"], "dst": ["tag:dev"], "ip": ["*"]}
    answer = compiled(policy(TO_WEB, to_host), {"svc:web": WEB})
    assert allowed(answer, "tablet", "dev") == ["100.64.0.7/32", V6 + "7/128"]
    assert allowed(answer, "dev", "laptop") == ["100.64.0.1/32", V6 + "1/128"]


def test_a_host_is_not_shown_the_service_at_another_host() -> None:
    answer = compiled(policy({"src": ["*"], "dst": ["svc:web"], "ip": ["*"]}), {"svc:web": WEB})
    assert allowed(answer, "prod", "dev") == ["100.64.0.7/32", V6 + "7/128"]
    assert allowed(answer, "router", "dev") == ["100.64.0.7/32", V6 + "7/128", *SHOWN]


@pytest.mark.parametrize(
    ("approvers", "service", "hosts"),
    [
        (APPROVED, {}, {"dev", "prod"}),
        ({"services": {"svc:web": ["tag:prod"]}}, {}, {"prod"}),
        ({"services": {"svc:web": ["ada@example.com", "autogroup:tagged"]}}, {}, {"dev", "prod", "router", "exit"}),
        ({"services": {"svc:web": ["ada@example.com"]}}, {}, set()),
        ({"services": {"svc:other": ["tag:dev"]}}, {}, set()),
        ({"services": {"tag:staging": ["tag:dev"]}}, {}, set()),
        ({"services": {"tag:staging": ["tag:dev"]}}, {"tags": ["tag:staging"]}, {"dev"}),
        ({}, {}, set()),
        ({}, {"hosts": ["prod", "laptop"]}, {"prod"}),
        (APPROVED, {"hosts": []}, set()),
        (APPROVED, {"hosts": ["router"]}, {"router"}),
    ],
)
def test_hosts_are_tagged_and_approved_by_name_by_tag_or_one_by_one(
    approvers: dict[str, Any], service: dict[str, Any], hosts: set[str]
) -> None:
    answer = compiled(policy(TO_WEB, approvers=approvers), {"svc:web": WEB | service})
    nodes = answer["nodes"]
    assert {name for name, node in nodes.items() if "service-host" in node["cap_map"]} == hosts
    assert {name for name in nodes if filter_of(answer, name)} == hosts
    assert peers_of(answer, "laptop") == hosts


def test_a_node_that_serves_two_services_is_told_of_both_in_one_object() -> None:
    both = {"svc:web": WEB, "svc:db": {"ipv4": "100.65.32.2", "hosts": ["dev"]}}
    answer = compiled(policy({"src": ["bob@example.com"], "dst": ["svc:db"], "ip": ["*"]}), both)
    told = {"svc:db": ["100.65.32.2"], "svc:web": ["100.65.32.1", V6 + "1234"]}
    assert answer["nodes"]["dev"]["cap_map"]["service-host"] == [told]
    assert allowed(answer, "tablet", "dev")[2:] == ["100.65.32.2/32"]
    assert filter_of(answer, "prod") == []


def test_a_service_in_an_acl_by_its_address_and_under_a_wildcard() -> None:
    acl = {"action": "accept", "src": ["bob@example.com"], "dst": ["svc:web:80,443"]}
    text = json.dumps({"tagOwners": TAGS, "autoApprovers": APPROVED, "acls": [acl]})
    entries = filter_of(compiled(text, {"svc:web": WEB}), "dev")[0]["DstPorts"]
    assert [(entry["IP"], entry["Ports"]["First"]) for entry in entries] == [
        (address, port) for address in ("100.65.32.1", V6 + "1234") for port in (80, 443)
    ]
    answer = compiled(policy({"src": ["bob@example.com"], "dst": ["100.65.32.1"], "ip": ["*"]}), {"svc:web": WEB})
    assert filter_of(answer, "dev")[0]["DstPorts"] == [{"IP": "100.65.32.1", "Ports": ALL}]
    assert allowed(answer, "tablet", "dev")[2:] == SHOWN[:1]
    answer = compiled(policy({"src": ["bob@example.com"], "dst": ["*"], "ip": ["*"]}), {"svc:web": WEB})
    assert allowed(answer, "tablet", "dev")[2:] == SHOWN
    assert allowed(answer, "tablet", "router")[2:] == []


def test_a_capability_is_given_at_the_addresses_of_the_service() -> None:
    app = {"src": ["ada@example.com"], "dst": ["svc:web"], "app": {"example.com/cap": [{"role": "admin"}]}}
    answer = compiled(policy(app), {"svc:web": WEB})
    assert filter_of(answer, "dev")[0]["CapGrant"] == [
        {"Dsts": SHOWN, "CapMap": {"example.com/cap": [{"role": "admin"}]}},
    ]
    assert peers_of(answer, "phone") == {"dev", "prod"}


def test_a_service_that_is_not_described_is_nothing_and_no_error() -> None:
    assert compiled(policy(TO_WEB), {}) == run(policy(), TOPOLOGY)
    assert compiled(policy(TO_WEB), {"svc:db": {"ipv4": "100.65.32.2"}}) == run(policy(), TOPOLOGY)


def test_a_rule_to_a_service_that_is_not_described_leaves_no_place_to_merge_into() -> None:
    to_tag = {"dst": ["tag:dev"], "ip": ["*"]}
    rest = [to_tag | {"src": ["bob@example.com"]}, to_tag | {"src": ["ada@example.com"]}]
    sources = [rule["SrcIPs"][0] for rule in filter_of(compiled(policy(TO_WEB | {"ip": ["*"]}, *rest), {}), "dev")]
    assert sources == ["100.64.0.5", "100.64.0.1"]
    described_too = compiled(policy(TO_WEB | {"ip": ["*"]}, *rest), {"svc:web": WEB})
    assert [rule["SrcIPs"][0] for rule in filter_of(described_too, "dev")] == ["100.64.0.1", "100.64.0.5"]


def test_the_tests_of_a_policy_may_ask_about_a_service() -> None:
    good = {"src": "ada@example.com", "accept": ["svc:web:443"], "deny": ["svc:web:22", "tag:dev:443"]}
    assert "nodes" in run(policy(TO_WEB, tests=[good]), described({"svc:web": WEB}))
    bad = {"src": "bob@example.com", "accept": ["svc:web:443"]}
    errors = run(policy(TO_WEB, tests=[bad]), described({"svc:web": WEB}))["errors"]
    assert "expected ALLOWED, got DENIED" in errors[-1]
    errors = run(policy(TO_WEB, tests=[good]), TOPOLOGY)["errors"]
    assert "destination resolved to no IP addresses" in errors[1]


@pytest.mark.parametrize(
    ("services", "message"),
    [
        ({"web": WEB}, 'a service is named "svc:" and a label'),
        ({"svc:": WEB}, 'a service is named "svc:" and a label'),
        ({"svc:web": {}}, "has neither ipv4 nor ipv6"),
        ({"svc:web": {"ipv4": V6 + "1"}}, "not each of its kind"),
        ({"svc:web": {"ipv4": "100.65.32"}}, "not an address"),
        ({"svc:web": {"ipv4": "100.64.0.7"}}, "is the address of node dev"),
        ({"svc:web": WEB, "svc:db": WEB}, "is the address of service svc:web"),
        ({"svc:web": WEB | {"hosts": ["nobody"]}}, 'no node is named "nobody"'),
        ({"svc:web": WEB | {"hosts": "dev"}}, "expected a list"),
        ({"svc:web": "100.65.32.1"}, "expected an object"),
        (["svc:web"], "expected an object"),
    ],
)
def test_a_service_that_cannot_be_is_refused(services: Any, message: str) -> None:
    errors = run(policy(TO_WEB), TOPOLOGY | {"services": services})["errors"]
    assert message in errors[0]
    assert errors[0].startswith("topology: services")


def test_explain_and_preview_know_services() -> None:
    topology = described({"svc:web": WEB})
    answer = explain(policy(TO_WEB), topology, "ada", "svc:web:443")
    assert answer["allowed"]
    assert {one["destination"] for one in answer["answers"]} == {"svc:web at dev", "svc:web at prod"}
    assert all(
        one["visible"] and one["rules"] == ["grants[0]: ada@example.com to svc:web"] for one in answer["answers"]
    )
    assert not explain(policy(TO_WEB), topology, "ada", "svc:web:22")["allowed"]
    assert not explain(policy(TO_WEB), topology, "bob", "svc:web")["allowed"]
    assert "names neither a node" in explain(policy(TO_WEB), topology, "ada", "svc:none:443")["errors"][0]
    change = preview(policy(), policy(TO_WEB), topology)
    assert change["nodes"]["laptop"]["peers_added"] == ["dev", "prod"]
    moved = preview(
        policy(TO_WEB), policy(TO_WEB, {"src": ["bob@example.com"], "dst": ["tag:dev"], "ip": ["*"]}), topology
    )
    assert set(moved["nodes"]) == {"dev", "tablet"}
