"""What holds for every policy and every tailnet, tried on many small ones."""

from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.policy.model.compiler import compile_policy
from services.policy.model.problems import PolicyError
from services.shared.access.compiled import CompiledPolicy
from services.shared.access.evaluator import Access
from services.shared.access.inputs import AccessNode, AccessService, AccessUser
from tests.unit.access.naive import Naive

USERS = (
    AccessUser(1, "ada", "ada@example.com", role="owner"),
    AccessUser(2, "bob", "bob@example.com", role="admin"),
    AccessUser(3, "eve", "eve@example.org"),
)
TAGS = ("tag:a", "tag:b", "tag:r")
ROUTES = ("10.1.0.0/16", "10.2.0.0/16", "192.168.7.0/24", "0.0.0.0/0", "::/0", "100.64.0.0/29")
TAILNET_ROUTE = ROUTES[-1]
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


@settings(max_examples=300, deadline=None)
@given(grants, tailnets(), served)
def test_classes_see_what_pairs_see(rules: list[dict[str, Any]], nodes: list[AccessNode], services: Services) -> None:
    if any("autogroup:self" in rule["dst"] for rule in rules):
        # A route into the tailnet's own range opens nothing to `autogroup:self`: see `classes.py`.
        nodes = [replace(node, approved_routes=()) if TAILNET_ROUTE in node.approved_routes else node for node in nodes]
    policy = compiled(rules)
    found = Access(policy, USERS, nodes, services=services)
    naive = Naive(policy, USERS, nodes, services)
    slow = {(one.id, other.id) for one in nodes for other in nodes if naive.sees(one.id, other.id)}
    assert visible(found, nodes) == slow


@settings(max_examples=150, deadline=None)
@given(grants, tailnets(), served)
def test_visibility_is_symmetric_and_told_alike_by_all_questions(
    rules: list[dict[str, Any]], nodes: list[AccessNode], services: Services
) -> None:
    found = access(rules, nodes, services)
    pairs = visible(found, nodes)
    assert pairs == {(other, one) for one, other in pairs}
    for class_ in found.classes():
        asked = [other for other in found.classes() if found.class_sees(class_, other)]
        assert list(found.visible_classes(class_)) == asked
    for one in nodes:
        for other in nodes:
            assert found.sees(one.id, other.id) == ((one.id, other.id) in pairs)


@settings(max_examples=150, deadline=None)
@given(grants, grants, tailnets(), served)
def test_adding_a_rule_never_removes_access(
    rules: list[dict[str, Any]], more: list[dict[str, Any]], nodes: list[AccessNode], services: Services
) -> None:
    before, after = access(rules, nodes, services), access(rules + more, nodes, services)
    assert visible(before, nodes) <= visible(after, nodes)
    assert permitted(before, nodes) <= permitted(after, nodes)


@settings(max_examples=150, deadline=None)
@given(grants, tailnets(), served, st.randoms())
def test_the_order_of_grants_never_changes_what_is_allowed(
    rules: list[dict[str, Any]], nodes: list[AccessNode], services: Services, random: Any
) -> None:
    shuffled = list(rules)
    random.shuffle(shuffled)
    before, after = access(rules, nodes, services), access(shuffled, nodes, services)
    assert visible(before, nodes) == visible(after, nodes)
    assert permitted(before, nodes) == permitted(after, nodes)
    for one in nodes:
        for other in nodes:
            if one.id != other.id:
                assert set(before.allowed_routes(one.id, other.id)) == set(after.allowed_routes(one.id, other.id))


@settings(max_examples=150, deadline=None)
@given(grants, tailnets(), served)
def test_equal_keys_mean_equal_filters_and_classes_share_routes(
    rules: list[dict[str, Any]], nodes: list[AccessNode], services: Services
) -> None:
    found = access(rules, nodes, services)
    by_key: dict[Any, Any] = {}
    by_class: dict[tuple[int, int], Any] = {}
    for node in nodes:
        filters = found.packet_filter(node.id)
        assert by_key.setdefault(found.filter_key(node.id), filters) == filters
        for peer in found.peers_of(node.id):
            shown = found.allowed_routes(node.id, peer)
            assert by_class.setdefault((found.class_of(node.id), peer), shown) == shown
            assert found.has_routes(peer) or shown == ()


@settings(max_examples=150, deadline=None)
@given(grants, st.tuples(tailnets(), served), st.tuples(tailnets(), served), st.sets(st.integers(1, 6)))
def test_what_is_carried_over_is_what_would_be_found(
    rules: list[dict[str, Any]],
    earlier: tuple[list[AccessNode], Services],
    later: tuple[list[AccessNode], Services],
    stay: set[int],
) -> None:
    policy = compiled(rules)
    (before, services), (others, more) = earlier, later
    former = Access(policy, USERS, before, services=services)
    nodes = [node for node in before if node.id in stay] + [node for node in others if node.id not in stay]
    carried, fresh = (Access(policy, USERS, nodes, former=one, services=more) for one in (former, None))
    assert visible(carried, nodes) == visible(fresh, nodes)
    for node in nodes:
        assert carried.class_of(node.id) == fresh.class_of(node.id)
        assert carried.packet_filter(node.id) == fresh.packet_filter(node.id)
        assert carried.filter_key(node.id) == fresh.filter_key(node.id)
        assert carried.self_caps(node.id) == fresh.self_caps(node.id)
        for peer in nodes:
            assert carried.allowed_routes(node.id, peer.id) == fresh.allowed_routes(node.id, peer.id)


@settings(max_examples=100, deadline=None)
@given(grants)
def test_the_compiled_form_survives_its_serialisation(rules: list[dict[str, Any]]) -> None:
    policy = compiled(rules)
    assert CompiledPolicy.from_bytes(policy.to_bytes()) == policy


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
