"""Application capabilities in `policy compile`: what a grant gives its destinations, and its companions its sources."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.policy.test_semantics import V6, compiled, filter_of, refused

DRIVE = {"tailscale.com/cap/drive": [{"shares": ["*"], "access": "rw"}]}
SHARER = {"tailscale.com/cap/drive-sharer": None}


def shared_with(source: list[str], destination: list[str]) -> Any:
    return compiled({"grants": [{"src": source, "dst": destination, "app": DRIVE}]})


def companions(answer: Any, node: str) -> list[Any]:
    return [
        grant["Dsts"]
        for rule in filter_of(answer, node)
        for grant in rule.get("CapGrant", [])
        if grant["CapMap"] == SHARER
    ]


@pytest.mark.parametrize(
    "source",
    [
        ["*"],
        ["*", "ada@example.com"],
        ["tag:dev", "*", "100.64.0.0/29"],
        ["100.64.0.0/24", "ada@example.com", V6 + "/64"],
    ],
)
def test_sources_that_overlap_are_each_told_of_the_companion(source: list[str]) -> None:
    answer = shared_with(source, ["tag:prod"])
    assert companions(answer, "tablet") == [["100.64.0.5/32", V6 + "5/128"]]
    assert companions(answer, "phone") == [["100.64.0.3/32", V6 + "3/128"]]
    assert companions(answer, "exit") == [["100.64.0.13/32", V6 + "d/128"]]


def test_a_companion_from_everyone_comes_from_the_subnets_too_so_its_sources_are_shown_them() -> None:
    answer = shared_with(["bob@example.com"], ["*"])
    _, companion = filter_of(answer, "tablet")
    assert companion["CapGrant"][0]["CapMap"] == SHARER
    assert "10.1.0.0/16" in companion["SrcIPs"]
    assert answer["nodes"]["tablet"]["peers"]["router"]["primary_routes"] == ["10.1.0.0/16"]
    assert answer["nodes"]["laptop"]["peers"].get("router") is None
    answer = shared_with(["bob@example.com"], ["tag:router"])
    assert answer["nodes"]["tablet"]["peers"]["router"]["primary_routes"] == []


@pytest.mark.parametrize("name", ["golink", "kubernetes", "secrets", "tailsql", "tsidp", "webui"])
def test_capabilities_of_the_hosted_services_own_programs_may_be_granted(name: str) -> None:
    grant = {"src": ["ada@example.com"], "dst": ["tag:dev"], "app": {f"tailscale.com/cap/{name}": [{"admin": True}]}}
    (rule,) = filter_of(compiled({"grants": [grant]}), "dev")
    assert rule["CapGrant"][0]["CapMap"] == grant["app"]
    foreign = grant | {"app": {f"tailscale.com/cap/{name}-more": []}}
    assert "capability name must not be in the tailscale.com domain" in refused({"grants": [foreign]})


def test_ipv4_switched_off_for_all_is_the_attribute_on_every_node() -> None:
    answer = compiled({"disableIPv4": True})
    for name, node in answer["nodes"].items():
        assert node["cap_map"]["disable-ipv4"] is None
        for peer in node["peers"].values():
            assert not any("." in address for address in peer["addresses"])
        assert len(filter_of(answer, name)[0]["SrcIPs"]) == 4
    assert answer["nodes"]["laptop"]["peers"]["router"]["allowed_ips"] == [V6 + "b/128", "10.1.0.0/16"]
