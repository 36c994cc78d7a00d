"""Tailnets, rules and services as they come, and what is asked of a policy on them."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import strategies as st

from services.policy.model.compiler import compile_policy
from services.shared.access.compiled import CompiledPolicy
from services.shared.access.evaluator import Access
from services.shared.access.inputs import AccessNode, AccessService, AccessUser

USERS = (
    AccessUser(1, "ada", "ada@example.com", role="owner"),
    AccessUser(2, "bob", "bob@example.com", role="admin"),
    AccessUser(3, "eve", "eve@example.org"),
)
TAGS = ("tag:a", "tag:b", "tag:r")
ROUTES = ("10.1.0.0/16", "10.2.0.0/16", "192.168.7.0/24", "0.0.0.0/0", "::/0", "100.64.0.0/29")
FRAME: dict[str, Any] = {
    "groups": {"group:g": ["ada@example.com", "eve@example.org"], "group:none": []},
    "hosts": {"first": "100.64.0.1", "wide": "10.0.0.0/8"},
    "tagOwners": {tag: ["ada@example.com"] for tag in TAGS},
    "autoApprovers": {"services": {"svc:web": ["tag:a"], "tag:b": ["tag:r", "ada@example.com"]}},
}
Services = tuple[AccessService, ...]
SERVICES = (
    AccessService("svc:web", "100.64.0.7", "fd7a:115c:a1e0::a7"),
    AccessService("svc:db", "100.64.9.2", tags=("tag:b",)),
    AccessService("svc:set", "100.64.9.3", "fd7a:115c:a1e0::a9", hosts=(1, 3, 99)),
)
served = st.sampled_from([(), SERVICES])
identities = st.sampled_from(
    [
        *TAGS,
        "ada@example.com",
        "bob@",
        "group:g",
        "group:none",
        "autogroup:member",
        "autogroup:tagged",
        "autogroup:admin",
    ]
)
literals = st.sampled_from(["*", "first", "wide", "100.64.0.2", "10.1.0.0/16", "10.2.0.0/16", "192.168.7.0/24"])
sources = st.lists(st.one_of(identities, literals, st.just("autogroup:danger-all")), max_size=3)
names_of_services = st.sampled_from(["svc:web", "svc:db", "svc:set", "svc:none", "100.64.9.2"])
destinations = st.lists(st.one_of(identities, literals, names_of_services, st.just("autogroup:internet")), max_size=3)
people = st.lists(st.sampled_from(["ada@example.com", "group:g", "autogroup:member", "bob@"]), min_size=1, max_size=2)
ports = st.sampled_from([["*"], ["tcp:22"], ["80-90", "udp:53"]])
plain_grants = st.fixed_dictionaries({"src": sources, "dst": destinations, "ip": ports})
app_grants = st.fixed_dictionaries(
    {
        "src": sources,
        "dst": st.lists(st.sampled_from(["*", "tag:a", "tag:r", "group:g", "10.1.0.0/16", "svc:web"]), max_size=2),
        "app": st.sampled_from([{"example.com/cap": [{}]}, {"tailscale.com/cap/drive": [{"access": "rw"}]}]),
    }
)
self_grants = st.fixed_dictionaries({"src": people, "dst": st.just(["autogroup:self"]), "ip": ports})
via_grants = st.fixed_dictionaries(
    {
        "src": sources,
        "dst": st.lists(st.sampled_from(["10.1.0.0/16", "wide", "autogroup:internet"]), max_size=2),
        "ip": ports,
        "via": st.lists(st.sampled_from(TAGS), min_size=1, max_size=2),
    }
)
grants = st.lists(st.one_of(plain_grants, app_grants, self_grants, via_grants), max_size=5)


@st.composite
def tailnets(draw: st.DrawFn) -> list[AccessNode]:
    """A few nodes, some tagged, some with routes."""
    made = []
    for number in range(1, draw(st.integers(2, 6)) + 1):
        tags = tuple(draw(st.lists(st.sampled_from(TAGS), max_size=2, unique=True)))
        routes = draw(st.lists(st.sampled_from(ROUTES), max_size=2, unique=True))
        if "0.0.0.0/0" in routes or "::/0" in routes:
            routes = [*dict.fromkeys([*routes, "0.0.0.0/0", "::/0"])]
        made.append(
            AccessNode(
                id=number,
                user_id=draw(st.sampled_from([1, 2, 3])),
                tags=tags,
                ipv4=f"100.64.0.{number}",
                ipv6=f"fd7a:115c:a1e0::{number}",
                advertised_routes=tuple(routes),
                approved_routes=tuple(draw(st.sampled_from([routes, []]))),
                created=number,
            )
        )
    return made


def compiled(rules: list[dict[str, Any]]) -> CompiledPolicy:
    return compile_policy(json.dumps(FRAME | {"grants": rules})).policy


def access(rules: list[dict[str, Any]], nodes: list[AccessNode], services: Services = ()) -> Access:
    return Access(compiled(rules), USERS, nodes, services=services)


def visible(found: Access, nodes: list[AccessNode]) -> set[tuple[int, int]]:
    return {(node.id, peer) for node in nodes for peer in found.peers_of(node.id)}


def permitted(found: Access, nodes: list[AccessNode]) -> set[tuple[int, str, str, int, int]]:
    """What the packet filters let through: node, source, target, protocol, port."""
    probes = [*(node.ipv4 for node in nodes), "10.1.0.1", "8.8.8.8"]
    return {
        (node.id, source, entry["IP"], protocol, port)
        for node in nodes
        for rule in found.packet_filter(node.id)
        for source in probes
        if any(covers(text, source) for text in rule["SrcIPs"])
        for entry in rule.get("DstPorts", ())
        for protocol in rule.get("IPProto", (0,))
        for port in (22, 53, 85)
        if entry["Ports"]["First"] <= port <= entry["Ports"]["Last"]
    }


def covers(text: str, address: str) -> bool:
    if text == "*":
        return True
    first, dash, last = text.partition("-")
    place = ip_address(address)
    if dash:
        low, high = ip_address(first), ip_address(last)
        return low.version == place.version and int(low) <= int(place) <= int(high)
    return place in ip_network(text)
