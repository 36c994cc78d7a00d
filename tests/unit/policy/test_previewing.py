"""A preview names the rules that concern a user or a destination, with the lines on which they stand."""

from __future__ import annotations

import pytest

from services.policy.explain import RulePreviewError, preview_rules_in
from services.policy.model.checks.topology import read_topology
from services.policy.model.text.problems import PolicyError

TAILNET = read_topology(
    {
        "users": [
            {"id": 1, "name": "ada", "email": "ada@example.com"},
            {"id": 2, "name": "bob", "email": "b@example.com"},
        ],
        "nodes": {
            "laptop": {"id": 1, "ipv4": "100.64.0.1", "user": "ada"},
            "db": {"id": 4, "ipv4": "100.64.0.4", "ipv6": "fd7a:115c:a1e0::4", "tags": ["tag:db"]},
        },
    }
)
POLICY = """{
  // the database
  "tagOwners": {"tag:db": []},
  "groups": {"group:ops": ["b@example.com"]},
  "postures": {"posture:new": ["node:os == 'linux'"]},
  "acls": [
    {"action": "accept", "src": ["ada@example.com", "group:ops"], "dst": ["tag:db:5432", "10.0.0.0/8:80,443"]},
    {"action": "accept", "src": ["100.64.0.1"], "dst": ["tag:db:22-23"]},

    {"action": "accept", "src": ["autogroup:member"], "dst": ["autogroup:self:*"]},
  ],
  "grants": [
    {"src": ["*"], "dst": ["tag:db"], "ip": ["udp:53"], "srcPosture": ["posture:new"]},
    {"src": ["*"], "dst": ["tag:db"], "app": {"example.com/cap": []}},
  ],
}"""
FIRST = (("ada@example.com", "group:ops"), ("tag:db:5432", "10.0.0.0/8:80,443"), 7)
ADDRESS = (("100.64.0.1",), ("tag:db:22-23",), 8)
SELF = (("autogroup:member",), ("autogroup:self:*",), 10)
EVERYONE = (("*",), ("tag:db:53",), 13)


def lines(policy: str = POLICY, **about: str) -> list[tuple[tuple[str, ...], tuple[str, ...], int]]:
    return [(one.users, one.ports, one.line) for one in preview_rules_in(TAILNET, policy, **about)]


def test_the_rules_of_a_user_are_those_with_the_user_or_a_device_among_the_sources() -> None:
    assert lines(user="ADA@example.com") == lines(user="ada") == [EVERYONE, FIRST, ADDRESS, SELF]
    assert lines(user="b@example.com") == [EVERYONE, FIRST, SELF]
    assert [one.postures for one in preview_rules_in(TAILNET, POLICY, user="bob")] == [("posture:new",), (), ()]


@pytest.mark.parametrize(
    ("destination", "found"),
    [
        ("100.64.0.4:5432", [FIRST]),
        ("[fd7a:115c:a1e0::4]:53", [EVERYONE]),
        ("100.64.0.4:23", [ADDRESS]),
        ("10.1.2.3:443", [FIRST]),
        ("10.1.2.3:22", []),
        ("100.64.0.1:9", [SELF]),
        ("8.8.8.8:53", []),
    ],
)
def test_the_rules_of_a_destination_are_those_that_open_its_port(destination: str, found: list[object]) -> None:
    assert lines(destination=destination) == found


def test_without_rules_everything_is_allowed() -> None:
    assert lines("", user="ada") == lines("{}", destination="100.64.0.4:1") == [(("*",), ("*:*",), 0)]


@pytest.mark.parametrize(
    "about",
    [{"user": "nobody"}, {"destination": "laptop"}, {"destination": "100.64.0.1"}, {"destination": "10.0.0.0/8:1"},
     {"destination": "100.64.0.1:99999"}],
)  # fmt: skip
def test_a_name_that_means_nothing_is_refused(about: dict[str, str]) -> None:
    with pytest.raises(RulePreviewError):
        preview_rules_in(TAILNET, POLICY, **about)


def test_a_policy_that_is_refused_has_no_preview() -> None:
    with pytest.raises(PolicyError):
        preview_rules_in(TAILNET, '{"acls": 1}', user="ada")
