"""Ipsets: what they are made of, and those of the internet, which exit nodes serve."""

from __future__ import annotations

import json
from typing import Any

import pytest

from services.policy.compile import run
from services.policy.explain import explain
from tests.unit.policy.test_semantics import APPROVE, TAGS, TOPOLOGY, V6, allow, compiled, filter_of, peers_of, refused

SOME = {"ipset:some": ["add autogroup:internet", "remove ipset:edge"], "ipset:edge": ["8.8.8.0/24", "1.1.1.1-1.1.1.9"]}


def shown(answer: Any, viewer: str) -> list[str]:
    found: list[str] = answer["nodes"][viewer]["peers"]["exit"]["allowed_ips"][2:]
    return found


def targets(answer: Any, node: str) -> list[str]:
    return [entry["IP"] for rule in filter_of(answer, node) for entry in rule["DstPorts"]]


def test_ranges_are_targets_too() -> None:
    sets = {"ipset:some": ["add 10.1.0.9 - 10.1.0.20", "add fd00::5-fd00::9", "remove 10.1.0.12-10.1.0.13"]}
    answer = compiled({"ipsets": sets} | allow("ada@", "ipset:some:443"))
    assert targets(answer, "router") == ["10.1.0.9-10.1.0.11", "10.1.0.14-10.1.0.20"]


@pytest.mark.parametrize(
    "text", ["10.1.0.9-10.1.0.1", "10.1.0.1-fd00::1", "10.1.0.0/24-10.1.1.0/24", "-10.0.0.1", "a-b", "1-2"]
)
def test_what_is_no_range_is_refused(text: str) -> None:
    assert f'invalid ipset target: "{text}"' in refused({"ipsets": {"ipset:a": [text]}})


@pytest.mark.parametrize("name", ["ipset:some", "ipset:outer"])
def test_a_part_of_the_internet_is_reached_through_exit_nodes_which_let_in_no_more(name: str) -> None:
    sets = SOME | {"ipset:outer": ["ipset:some"]}
    answer = compiled({"ipsets": sets} | allow("bob@example.com", f"{name}:443"))
    assert shown(answer, "tablet") == ["0.0.0.0/0", "::/0"]
    assert peers_of(answer, "laptop") == set()
    assert targets(answer, "exit")[:4] == [
        "0.0.0.0-1.1.1.0",
        "1.1.1.10-8.8.7.255",
        "8.8.9.0-9.255.255.255",
        "11.0.0.0-100.63.255.255",
    ]
    assert targets(answer, "exit")[-1] == "2000::/3"
    assert targets(answer, "router") == []


def test_private_prefixes_may_be_added_to_the_internet() -> None:
    sets = {"ipset:wide": ["autogroup:internet", "10.0.0.0/8"]}
    answer = compiled({"ipsets": sets} | allow("bob@example.com", "ipset:wide:443"))
    assert shown(answer, "tablet") == ["0.0.0.0/0", "::/0"]
    assert targets(answer, "exit")[0] == targets(answer, "router")[0] == "0.0.0.0-100.63.255.255"
    assert answer["nodes"]["tablet"]["peers"]["router"]["primary_routes"] == ["10.1.0.0/16"]


@pytest.mark.parametrize(
    "steps", [["8.0.0.0/8"], ["add autogroup:internet", "remove autogroup:internet", "add 8.0.0.0/8"]]
)
def test_a_set_that_is_not_made_of_the_internet_shows_no_exit_node(steps: list[str]) -> None:
    answer = compiled({"ipsets": {"ipset:a": steps}} | allow("bob@example.com", "ipset:a:443"))
    assert peers_of(answer, "tablet") == set()


def test_via_steers_parts_of_the_internet_through_the_exit_nodes_with_its_tags() -> None:
    other = TOPOLOGY["nodes"]["exit"] | {"id": 17, "ipv4": "100.64.0.17", "ipv6": V6 + "11", "tags": ["tag:staging"]}
    topology = TOPOLOGY | {"nodes": TOPOLOGY["nodes"] | {"other": other}}
    grants = [
        {"src": ["ada@example.com"], "dst": ["ipset:some"], "ip": ["*"], "via": ["tag:exit"]},
        {"src": ["bob@example.com"], "dst": ["ipset:some"], "ip": ["*"], "via": ["tag:staging"]},
    ]
    approve = APPROVE | {"exitNode": ["tag:exit", "tag:staging"]}
    text = json.dumps({"tagOwners": TAGS, "autoApprovers": approve, "ipsets": SOME, "grants": grants})
    answer = run(text, topology)
    assert peers_of(answer, "laptop") == {"exit"}
    assert peers_of(answer, "tablet") == {"other"}
    assert shown(answer, "laptop") == ["0.0.0.0/0", "::/0"]
    assert "8.8.9.0-9.255.255.255" in targets(answer, "other")
    assert filter_of(answer, "other")[0]["SrcIPs"] == ["100.64.0.5", V6 + "5"]
    assert explain(text, topology, "tablet", "9.9.9.9:443")["allowed"]
    assert not explain(text, topology, "tablet", "8.8.8.8:443")["allowed"]


def test_an_empty_list_of_postures_is_neither_the_default_nor_none() -> None:
    postures = {"postures": {"posture:linux": ["node:os == 'linux'"]}, "defaultSrcPosture": []}
    assert "acls[0].srcPosture: name at least one posture" in refused(postures | allow("*", "*:*", srcPosture=[]))
    rule = {"action": "accept", "src": ["ada@"], "dst": ["tag:dev"], "users": ["root"], "srcPosture": []}
    assert "ssh[0].srcPosture: name at least one posture" in refused(postures | {"ssh": [rule]})
    compiled(postures | allow("*", "*:*"))
