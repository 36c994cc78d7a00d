"""Explanations name rules and nodes, and previews name who gains and loses what."""

from __future__ import annotations

from typing import Any

from services.policy.explain import explain, preview

TOPOLOGY: dict[str, Any] = {
    "users": [{"id": 1, "name": "ada", "email": "ada@example.com"}, {"id": 2, "name": "bob", "email": "b@example.com"}],
    "nodes": {
        "laptop": {"id": 1, "ipv4": "100.64.0.1", "user": "ada"},
        "phone": {"id": 2, "ipv4": "100.64.0.2", "user": "ada"},
        "tablet": {"id": 3, "ipv4": "100.64.0.3", "user": "b@example.com"},
        "db": {"id": 4, "ipv4": "100.64.0.4", "ipv6": "fd7a:115c:a1e0::4", "tags": ["tag:db"]},
    },
}
POLICY = """
tagOwners: {tag:db: []}
acls:
  - {action: accept, src: [ada@], dst: ["tag:db:5432"], proto: tcp}
  - {action: accept, src: [autogroup:member], dst: ["autogroup:self:*"]}
"""


def test_the_rule_that_allows_is_named() -> None:
    answer = explain(POLICY, TOPOLOGY, "laptop", "db:5432")
    assert answer["allowed"]
    assert answer["answers"][0]["rules"] == ["acls[0]: ada@ to tag:db"]
    assert answer["answers"][0]["visible"]


def test_a_rule_that_nearly_allows_says_what_it_lacks() -> None:
    answer = explain(POLICY, TOPOLOGY, "laptop", "[fd7a:115c:a1e0::4]:22")
    assert not answer["allowed"]
    assert answer["answers"][0]["near"] == ["acls[0]: ada@ to tag:db, but only port 5432 of protocol 6"]
    assert not explain(POLICY, TOPOLOGY, "laptop", "db:5432", protocol="udp")["allowed"]


def test_a_user_stands_for_all_own_nodes() -> None:
    answer = explain(POLICY, TOPOLOGY, "ada@", "ada@example.com")
    assert {(one["source"], one["destination"]) for one in answer["answers"]} == {
        ("laptop", "phone"),
        ("phone", "laptop"),
    }
    assert answer["allowed"]
    assert not explain(POLICY, TOPOLOGY, "bob", "phone")["allowed"]


def test_a_name_that_means_nothing_is_an_error() -> None:
    for source, destination in (("nobody", "db"), ("laptop", "nothing"), ("10.9.9.9", "db"), ("", "")):
        assert explain(POLICY, TOPOLOGY, source, destination)["errors"]
    assert explain("{", TOPOLOGY, "laptop", "db")["errors"]
    assert explain(POLICY, {"nodes": 1}, "laptop", "db")["errors"]


def test_an_address_outside_the_tailnet_can_be_asked_for() -> None:
    policy = '{"acls": [{"action": "accept", "src": ["*"], "dst": ["10.0.0.0/8:443"]}]}'
    assert explain(policy, TOPOLOGY, "tablet", "10.1.2.3:443")["allowed"]
    assert not explain(policy, TOPOLOGY, "tablet", "10.1.2.3:80")["allowed"]


def test_a_preview_names_who_gains_and_loses() -> None:
    answer = preview(POLICY, POLICY.replace("ada@", "b@example.com"), TOPOLOGY)
    assert answer["nodes"]["laptop"]["peers_removed"] == ["db"]
    assert answer["nodes"]["tablet"]["peers_added"] == ["db"]
    assert answer["nodes"]["db"]["packet_filter"]
    assert answer["unchanged"] == 0
    assert preview(POLICY, POLICY, TOPOLOGY) == {"nodes": {}, "unchanged": 4}
    assert preview(POLICY, "{", TOPOLOGY)["errors"]


def test_routes_that_a_description_leaves_open_are_those_that_the_policy_approves() -> None:
    nodes = TOPOLOGY["nodes"] | {
        "router": {"id": 5, "ipv4": "100.64.0.5", "tags": ["tag:db"], "routable_ips": ["10.1.0.0/16"]},
        "other": {"id": 6, "ipv4": "100.64.0.6", "tags": ["tag:other"], "routable_ips": ["10.2.0.0/16"]},
    }
    described = TOPOLOGY | {"nodes": nodes}
    steered = """
tagOwners: {tag:db: [], tag:other: []}
autoApprovers: {routes: {10.0.0.0/8: [tag:db, tag:other]}}
grants:
  - {src: [ada@], dst: [10.0.0.0/8, 100.64.0.0/24], ip: [443], via: [tag:db]}
"""
    assert preview("acls: []", steered, described)["nodes"]["router"]["peers_added"] == ["laptop", "phone"]
    (answer,) = explain(steered, described, "laptop", "10.1.2.3:443")["answers"]
    assert answer["rules"] == ["grants[0]: ada@ to 10.0.0.0/8, through nodes with tag:db"]
    for elsewhere in ("10.2.3.4:443", "db:443"):
        (answer,) = explain(steered, described, "laptop", elsewhere)["answers"]
        assert not answer["allowed"]
        assert answer["near"][0].endswith("but no node with tag:db serves it")
