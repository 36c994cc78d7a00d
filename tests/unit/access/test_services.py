"""What holds for services in every policy and every tailnet, tried on many small ones."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from services.shared.access.evaluator import Access
from services.shared.access.inputs import AccessNode, AccessService
from services.shared.access.ranges import full_length
from tests.unit.access.naive import Naive, virtual
from tests.unit.access.random_tailnets import (
    SERVICES,
    USERS,
    Services,
    access,
    compiled,
    covers,
    grants,
    served,
    tailnets,
    visible,
)

ADDRESSES = {full_length(address): service for service in SERVICES for address in virtual(service)}


@settings(max_examples=200, deadline=None)
@given(grants, tailnets(), served)
def test_a_viewer_is_shown_a_service_at_its_oldest_host_when_a_rule_reaches_it(
    rules: list[dict[str, Any]], nodes: list[AccessNode], services: Services
) -> None:
    found = access(rules, nodes, services)
    naive = Naive(compiled(rules), USERS, nodes, services)
    for viewer in nodes:
        for peer in nodes:
            if viewer.id == peer.id:
                continue
            allowed = found.allowed_routes(viewer.id, peer.id)
            shown = {address for address in allowed if address in ADDRESSES}
            wanted = {
                full_length(address)
                for service in services
                if not naive.serves(viewer, service)
                and peer.id == min((one.id for one in nodes if naive.serves(one, service)), default=0)
                for address in virtual(service)
                if naive.may(viewer, address)
            }
            assert shown == wanted
            assert not shown or found.sees(viewer.id, peer.id)
            assert not shown & set(found.primary_routes(viewer.id, peer.id))


@settings(max_examples=200, deadline=None)
@given(grants, tailnets(), served)
def test_a_host_lets_in_to_its_services_whom_a_rule_lets_in(
    rules: list[dict[str, Any]], nodes: list[AccessNode], services: Services
) -> None:
    found = access(rules, nodes, services)
    naive = Naive(compiled(rules), USERS, nodes, services)
    for host in nodes:
        for address in naive.served(host):
            for sender in nodes:
                let_in = any(
                    any(covers(text, sender.ipv4) for text in rule["SrcIPs"])
                    and any(covers(entry["IP"], address) for entry in rule.get("DstPorts", ()))
                    for rule in found.packet_filter(host.id)
                )
                alone = AccessNode(sender.id, sender.user_id, sender.tags, sender.ipv4, sender.ipv4)
                assert let_in == naive.may(alone, address, network=True)


@settings(max_examples=100, deadline=None)
@given(grants, tailnets(), served)
def test_only_hosts_are_told_that_they_serve(
    rules: list[dict[str, Any]], nodes: list[AccessNode], services: Services
) -> None:
    found = access(rules, nodes, services)
    naive = Naive(compiled(rules), USERS, nodes, services)
    by_key: dict[Any, Any] = {}
    for node in nodes:
        caps = found.self_caps(node.id)
        assert by_key.setdefault(found.self_caps_key(node.id), caps) == caps
        mappings = found.self_caps(node.id).get("service-host", [])
        assert {a for mapping in mappings for told in mapping.values() for a in told} == naive.served(node)
        assert len(mappings) == (1 if naive.served(node) else 0)
        assert "service-host" not in found.peer_caps(node.id)


HOSTS = [
    AccessNode(number, 0, ("tag:a",), f"100.64.0.{number}", f"fd7a:115c:a1e0::{number}", created=number)
    for number in (1, 2, 3)
]


def hosted(web: int, db: int) -> Services:
    """Two services, each at one host."""
    return (AccessService("svc:web", "100.64.9.1", hosts=(web,)), AccessService("svc:db", "100.64.9.2", hosts=(db,)))


def test_hosts_of_two_services_in_one_rule_have_each_its_own_filter() -> None:
    rules = [{"src": ["ada@example.com"], "dst": ["svc:web", "svc:db"], "ip": ["*"]}]
    ada = AccessNode(9, 1, (), "100.64.0.9", "fd7a:115c:a1e0::9", created=9)
    found = access(rules, [*HOSTS, ada], hosted(1, 2))
    entries = {node: [e["IP"] for rule in found.packet_filter(node) for e in rule["DstPorts"]] for node in (1, 2, 3)}
    assert entries == {1: ["100.64.9.1"], 2: ["100.64.9.2"], 3: []}
    assert len({found.filter_key(node) for node in (1, 2, 3)}) == 3


def test_a_service_that_moves_is_found_at_its_new_host() -> None:
    policy = compiled([{"src": ["ada@example.com"], "dst": ["svc:web"], "ip": ["*"]}])
    ada = AccessNode(9, 1, (), "100.64.0.9", "fd7a:115c:a1e0::9", created=9)
    nodes = [*HOSTS, ada]
    before = Access(policy, USERS, nodes, services=hosted(1, 3))
    after = Access(policy, USERS, nodes, services=hosted(2, 3), previous=before)
    assert (before.peers_of(9), after.peers_of(9)) == ([1], [2])
    assert after.allowed_routes(9, 1) == ()
    assert after.allowed_routes(9, 2) == ("100.64.9.1/32",)
    assert after.self_caps(2)["service-host"] == [{"svc:web": ["100.64.9.1"]}]


def without_services(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [rule | {"dst": [name for name in rule["dst"] if not name.startswith("svc:")]} for rule in rules]


@settings(max_examples=150, deadline=None)
@given(grants, tailnets())
def test_a_service_that_nobody_described_is_as_if_it_were_not_written(
    rules: list[dict[str, Any]], nodes: list[AccessNode]
) -> None:
    named, bare = access(rules, nodes), access(without_services(rules), nodes)
    assert visible(named, nodes) == visible(bare, nodes)
    for node in nodes:
        assert named.packet_filter(node.id) == bare.packet_filter(node.id)
        assert named.self_caps(node.id) == bare.self_caps(node.id)
        for peer in nodes:
            assert named.allowed_routes(node.id, peer.id) == bare.allowed_routes(node.id, peer.id)


@settings(max_examples=150, deadline=None)
@given(grants, tailnets())
def test_services_take_nothing_away_and_give_nothing_but_themselves(
    rules: list[dict[str, Any]], nodes: list[AccessNode]
) -> None:
    before, after = access(rules, nodes), access(rules, nodes, SERVICES)
    naive = Naive(compiled(rules), USERS, nodes, SERVICES)
    pairs = visible(before, nodes)
    assert pairs <= visible(after, nodes)
    for one, other in visible(after, nodes) - pairs:
        ends = [node for node in nodes if node.id in (one, other)]
        assert any(naive.served(end) or naive.routed(end) for end in ends)
    for node in nodes:
        for peer in nodes:
            if node.id == peer.id:
                continue
            known, more = before.allowed_routes(node.id, peer.id), after.allowed_routes(node.id, peer.id)
            assert set(known) <= set(more)
            assert set(more) - set(known) <= ADDRESSES.keys() | set(peer.advertised_routes)
