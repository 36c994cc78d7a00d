"""All that `policy compile` answers is what the slow reading of the semantics says."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.policy.compile import run
from tests.unit.access.slow import EXITS
from tests.unit.access.slow_filters import Slow
from tests.unit.access.slow_ssh import ssh_of

Document = dict[str, Any]
V6 = "fd7a:115c:a1e0::"
TAGS = ["tag:a", "tag:b", "tag:r"]
USERS = [
    {"id": 1, "name": "ada", "email": "ada@example.com", "role": "owner"},
    {"id": 2, "name": "bob", "email": "bob@example.org", "role": "admin"},
    {"id": 3, "name": "eve", "email": "", "role": "member"},
]
FRAME: Document = {
    "groups": {"group:g": ["ada@example.com", "eve@"], "group:none": []},
    "hosts": {"first": "100.64.0.1", "wide": "10.0.0.0/8", "6in4": "fd7a:115c:a1e0:b1a::/64"},
    "tagOwners": {tag: ["ada@example.com"] for tag in TAGS},
}
ROUTES = ["10.1.0.0/16", "10.1.2.0/24", "10.2.0.5/32", "192.168.7.0/24", "fd00:1::/64", "8.8.8.0/24", *EXITS]
ROUTES.append("fd7a:115c:a1e0:b1a:0:7::/96")
PEOPLE = ["ada@example.com", "bob@example.org", "eve@", "gone@", "group:g", "group:none", "autogroup:member"]
PEOPLE += ["autogroup:admin", "autogroup:owner", "autogroup:auditor", "user:*@example.com"]
TAGGED = [*TAGS, "autogroup:tagged"]
PLACES = ["first", "wide", "6in4", "100.64.0.2", "100.64.0.0/29", V6 + "/64", "10.1.2.0/24", "192.168.7.9", "8.8.8.8"]
PORTS = ["*", "22", "80-443", "22,80"]
CAPS = {"example.com/cap": [{"a": 1}], "tailscale.com/cap/drive": [{"access": "rw"}], "tailscale.com/cap/relay": []}


def some(names: list[str], least: int = 1) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), min_size=least, max_size=3)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Document]:
    return st.fixed_dictionaries({}, optional=fields)


opened = st.sampled_from([*PORTS, "tcp:22", "UDP:53", "icmp:*", "6:22"])
named = some([*PEOPLE, *TAGGED, *PLACES, "*"], 0)
ordinary = st.fixed_dictionaries(
    {
        "src": st.one_of(named, named, some([*PEOPLE, "autogroup:danger-all"])),
        "dst": some([*PEOPLE, *TAGGED, *PLACES, "*", "autogroup:internet"], 0),
        "ip": st.lists(opened, min_size=1, max_size=2),
    },
    optional={"via": st.lists(st.sampled_from(TAGS), min_size=1, max_size=2)},
)
applied = st.fixed_dictionaries(
    {
        "src": st.one_of(named, some(["*", "100.64.0.0/29", "autogroup:member", *TAGS], 2)),
        "dst": some(["*", *TAGS, "*", "group:g", "autogroup:member", "10.1.2.0/24"]),
        "app": st.sampled_from([CAPS, *({name: values} for name, values in CAPS.items())]),
    },
    optional={"via": st.lists(st.sampled_from(TAGS), min_size=1, max_size=1), "ip": st.just(["443"])},
)
to_self = st.fixed_dictionaries(
    {
        "src": some(PEOPLE),
        "dst": some(["autogroup:self", "tag:a", "autogroup:member"]),
        "ip": st.just(["22", "udp:53"]),
    },
    optional={"app": st.just(CAPS)},
)
targets = [f"{name}:{ports}" for name in (*TAGGED, *PLACES, "*", "autogroup:internet") for ports in ("*", "22")]
acl = st.fixed_dictionaries(
    {"src": named, "dst": some(targets)}, optional={"proto": st.sampled_from(["", "tcp", "17"])}
)
acl_to_self = st.fixed_dictionaries(
    {
        "src": some([*PEOPLE, "*"]),
        "dst": some(["autogroup:self:*", "autogroup:self:22", "tag:b:22", "autogroup:member:1"]),
    }
)
logins = some(["root", "ubuntu", "autogroup:nonroot", "localpart:*@example.com", "localpart:x"])
ssh = st.one_of(
    st.fixed_dictionaries(
        {"src": some(PEOPLE), "dst": some([*TAGGED, "autogroup:self", "autogroup:member"]), "users": logins},
        optional={"acceptEnv": st.just(["LC_*"])},
    ),
    st.fixed_dictionaries({"src": some([*TAGGED, "ada@example.com"]), "dst": some(TAGGED), "users": logins}),
)
actions = st.sampled_from(["accept", "check"])
documents = optional(
    grants=st.lists(st.one_of(ordinary, applied, to_self), max_size=3),
    acls=st.lists(st.one_of(acl, acl_to_self).map(lambda rule: rule | {"action": "accept"}), max_size=3),
    ssh=st.lists(st.builds(lambda rule, action: rule | {"action": action}, ssh, actions), max_size=3),
    autoApprovers=optional(
        routes=st.dictionaries(st.sampled_from(ROUTES), some([*TAGS, "group:g"]), max_size=3), exitNode=some(TAGGED)
    ),
)


@st.composite
def tailnets(draw: st.DrawFn) -> Document:
    """A few nodes: of users and tagged, with and without routes, some with one address only."""
    nodes = {}
    for number, age in enumerate(draw(st.permutations(range(1, draw(st.integers(3, 7))))), 1):
        both = {"ipv4": f"100.64.0.{number}", "ipv6": f"{V6}{number}"}
        kept = draw(st.sampled_from([["ipv4", "ipv6"]] * 4 + [["ipv4"], ["ipv6"]]))
        routes = draw(st.lists(st.sampled_from(ROUTES), max_size=3, unique=True))
        nodes[f"n{number}"] = {
            "id": age,
            "user": draw(st.sampled_from(["ada", "bob", "eve"])),
            "tags": draw(st.lists(st.sampled_from(TAGS), max_size=2, unique=True)),
            "routable_ips": routes,
            "approved_routes": draw(st.sampled_from([routes, routes, routes[:1], [], None])),
        } | {key: both[key] for key in kept}
    return {"users": USERS, "nodes": nodes, "tailnet": {"server_url": "https://unused"}}


def filter_shown(rules: list[Any]) -> list[Any]:
    made = []
    for rule in rules:
        ports = [(entry["IP"], *entry["Ports"].values()) for entry in rule.get("DstPorts") or []]
        given = [[sorted(one["Dsts"]), one["CapMap"]] for one in rule.get("CapGrant") or []]
        made.append([rule["SrcIPs"], sorted(ports), rule.get("IPProto", []), sorted(given, key=json.dumps)])
    return made


def ssh_shown(rules: list[Any]) -> list[Any]:
    return [
        [sorted(one["nodeIP"] for one in rule["principals"]), rule["sshUsers"], rule["action"], rule.get("acceptEnv")]
        for rule in rules
    ]


@settings(max_examples=250, deadline=None)
@given(documents, tailnets())
def test_everything_is_as_the_slow_reading_says(rules: Document, tailnet: Document) -> None:
    answer = run(json.dumps(FRAME | rules), tailnet)
    assert "errors" not in answer, answer["errors"]
    slow = Slow(FRAME | rules, tailnet)
    by_name = {node.name: node for node in slow.nodes}
    for name, node in by_name.items():
        said = answer["nodes"][name]
        assert filter_shown(said["packet_filter"]) == slow.filter(node)
        assert ssh_shown(said["ssh"]) == ssh_of(slow, node)
        assert set(said["approved_routes"]) == {*node.subnets, *node.exits}
        assert set(said["peers"]) == slow.peers(node)
        for peer, shown in said["peers"].items():
            routes = slow.allowed(node, by_name[peer])
            assert set(shown["allowed_ips"]) - set(shown["addresses"]) == routes
            assert set(shown["primary_routes"]) == routes - set(EXITS)
