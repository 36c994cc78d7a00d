"""A policy's own tests answer what asking every rule about every address answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from services.map_streamer.snapshot import Visibility
from services.policy.model.checks.sshverdicts import Verdicts
from services.policy.model.checks.testing import run_tests
from services.policy.model.compiler import compile_policy
from services.policy.model.text.problems import PolicyError
from services.shared.access.compiled import Alias, AliasKind, Grant
from services.shared.access.directory import Directory
from services.shared.access.evaluator import Access
from services.shared.access.inputs import AccessNode
from services.shared.access.ssh import SshRules
from tests.unit.access.naive import Naive
from tests.unit.access.random_tailnets import FRAME, USERS, grants, tailnets

PEOPLE = ["ada@example.com", "bob@", "group:g", "autogroup:member", "autogroup:admin"]
NAMES = [*PEOPLE, "tag:a", "tag:b", "autogroup:tagged", "first", "100.64.0.2"]

ssh_rules = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {
                "action": st.sampled_from(["accept", "check"]),
                "src": st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=2),
                "dst": st.lists(
                    st.sampled_from(["autogroup:self", "autogroup:member", "autogroup:tagged", "tag:a", "tag:b"]),
                    min_size=1,
                    max_size=2,
                ),
                "users": st.sampled_from(
                    [["root"], ["autogroup:nonroot"], ["ubuntu"], ["localpart:*@example.com", "root"]]
                ),
            }
        ),
        st.fixed_dictionaries(
            {
                "action": st.just("accept"),
                "src": st.lists(st.sampled_from(["tag:a", "tag:b", "autogroup:tagged"]), min_size=1, max_size=2),
                "dst": st.lists(st.sampled_from(["autogroup:tagged", "tag:a"]), min_size=1, max_size=2),
                "users": st.sampled_from([["root"], ["ubuntu", "localpart:*@example.com"]]),
            }
        ),
    ),
    max_size=4,
)


def passes(document: dict[str, Any], nodes: list[AccessNode]) -> bool:
    """Whether the policy's tests hold."""
    try:
        run_tests(compile_policy(json.dumps(document)), USERS, nodes)
    except PolicyError:
        return False
    return True


@settings(max_examples=400, deadline=None)
@given(grants, tailnets(), st.data())
def test_rules_on_classes_answer_tests_as_rules_on_addresses(
    rules: list[dict[str, Any]], nodes: list[AccessNode], data: st.DataObject
) -> None:
    own = data.draw(st.booleans(), "to autogroup:self")
    source = data.draw(st.sampled_from(PEOPLE if own else NAMES), "source")
    destination = "autogroup:self" if own else data.draw(st.sampled_from(NAMES), "destination")
    port = data.draw(st.sampled_from([22, 53, 85]), "port")
    document = FRAME | {"grants": rules, "tests": [{"src": source, "accept": [f"{destination}:{port}"]}]}
    compiled = compile_policy(json.dumps(document))
    slow = Slow(Naive(compiled.policy, USERS, nodes), port)
    names = compiled.names
    tags = {tag for node in nodes for tag in node.tags}
    assume(all(name in tags for name in (source, destination) if name.startswith("tag:")))
    assert passes(document, nodes) == slow.allowed(names.alias(source), names.alias(destination))
    denial = FRAME | {"grants": rules, "tests": [{"src": source, "deny": [f"{destination}:{port}"]}]}
    assert not (passes(denial, nodes) and passes(document, nodes))


class Slow:
    """Asks every rule about each address of a source and each of a destination."""

    def __init__(self, naive: Naive, port: int) -> None:
        self.naive = naive
        self.open = [grant for grant in naive.policy.grants if not grant.via and opens(grant, port)]

    def allowed(self, source: Alias, destination: Alias) -> bool:
        """Whether each address of the source reaches one of the destination, both of them existing."""
        addresses = self.naive.resolve(source)
        if destination.kind is AliasKind.SELF:
            return bool(addresses) and all(self.reaches(one, self.own(one)) for one in addresses)
        targets = self.naive.resolve(destination)
        return bool(addresses and targets) and all(self.reaches(one, targets) for one in addresses)

    def own(self, address: str) -> set[str]:
        """Addresses of the user whose device has this one."""
        found = [node for node in self.naive.nodes.values() if address in self.naive.own(node) and not node.tags]
        users = {node.user_id for node in found}
        return {
            other
            for node in self.naive.nodes.values()
            if node.user_id in users and not node.tags
            for other in self.naive.own(node)
        }

    def reaches(self, source: str, targets: set[str]) -> bool:
        return any(self.grants(grant, source, targets) for grant in self.open)

    def grants(self, grant: Grant, source: str, targets: set[str]) -> bool:
        sources = self.naive._sources(grant)
        for alias in grant.destination:
            if alias.kind is AliasKind.SELF:
                device = next((n for n in self.naive.nodes.values() if source in self.naive.own(n)), None)
                if device and self.naive.own(device) & sources and self.own(source) & targets:
                    return True
            elif source in sources and (alias.kind is AliasKind.ANY or self.naive.resolve(alias) & targets):
                return True
        return False


def opens(grant: Grant, port: int) -> bool:
    """Whether a rule opens a port for TCP, UDP or ICMP."""
    return any(
        (not access.protocols or set(access.protocols) & {1, 6, 17, 58})
        and any(first <= port <= last for first, last in access.ports)
        for access in grant.network
    )


class Counted(list[dict[str, Any]]):
    """Rules that count how often they are gone through."""

    times = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self.times += 1
        return super().__iter__()


def test_users_who_log_in_everywhere_by_name_share_the_rules_of_all() -> None:
    rule = {"action": "accept", "src": ["autogroup:member"], "users": ["localpart:*@example.com"]}
    document = {"ssh": [rule | {"dst": ["autogroup:self", "autogroup:member"]}]}
    policy = compile_policy(json.dumps(document), domains=("example.com",)).policy
    nodes = [AccessNode(user.id, user.id, (), f"100.64.0.{user.id}", "") for user in USERS]
    ssh = SshRules(Directory(policy, USERS, nodes), policy.ssh, "")
    (_, first), (_, second) = ssh.runs(nodes[0].id), ssh.runs(nodes[1].id)
    assert first is second
    assert len(first) >= len(nodes)
    visibility = Visibility(Access(policy, USERS, nodes))
    (_, first_sent), (_, second_sent) = visibility.ssh_runs(nodes[0].id), visibility.ssh_runs(nodes[1].id)
    assert first_sent is second_sent


def test_whom_many_rules_let_in_is_found_once_for_all_policies_that_have_them() -> None:
    of_all = Counted({"principals": [{"nodeIP": f"100.64.0.{n}"}], "sshUsers": {"root": "root"}} for n in range(9))
    verdicts = Verdicts()
    for n in range(20):
        assert verdicts.any(frozenset({f"100.64.0.{n}"}), ([], of_all), "root") is (n < 9)
    assert of_all.times == 1


@settings(max_examples=200, deadline=None)
@given(ssh_rules, tailnets(), st.data())
def test_shared_ssh_policies_are_those_of_each_node_and_answer_tests_alike(
    rules: list[dict[str, Any]], nodes: list[AccessNode], data: st.DataObject
) -> None:
    source = data.draw(st.sampled_from([*PEOPLE, "tag:a", "first"]), "source")
    destination = data.draw(st.sampled_from(["autogroup:self", "autogroup:member", "autogroup:tagged", "first"]), "to")
    login = data.draw(st.sampled_from(["root", "ubuntu", "ada"]), "login")
    kind = data.draw(st.sampled_from(["accept", "check", "deny"]), "assertion")
    document = FRAME | {"ssh": rules, "sshTests": [{"src": source, "dst": [destination], kind: [login]}]}
    assume(source != "tag:a" or any("tag:a" in node.tags for node in nodes))
    compiled = compile_policy(json.dumps(document), domains=("example.com",))
    shared = Access(compiled.policy, USERS, nodes)
    policies = {node.id: Access(compiled.policy, USERS, nodes).ssh_policy(node.id) for node in nodes}
    assert {node.id: shared.ssh_policy(node.id) for node in nodes} == policies
    visibility = Visibility(shared)
    assert {node.id: orjson.loads(visibility.ssh_policy(node.id)) for node in nodes} == {
        node_id: policy or {"rules": []} for node_id, policy in policies.items()
    }
    naive = Naive(compiled.policy, USERS, nodes)

    def named(text: str) -> list[AccessNode]:
        found = compiled.names.alias(text)
        if found.kind is AliasKind.PREFIXES:
            return [node for node in nodes if naive.own(node) & naive.resolve(found)]
        return [node for node in nodes if naive.selects(found, node)]

    sources = named(source)
    owners = {node.user_id for node in sources if not node.tags}
    to_self = destination == "autogroup:self"
    targets = [n for n in nodes if not n.tags and n.user_id in owners] if to_self else named(destination)
    expected = bool(sources and targets)
    for target in targets:
        asked = [n for n in sources if not to_self or (not n.tags and n.user_id == target.user_id)]
        rules_there = (policies[target.id] or {"rules": []})["rules"]
        found = [decides(rules_there, address, login) for node in asked for address in sorted(naive.own(node))]
        expected = (
            expected
            and {
                "accept": all(rule is not None for rule in found),
                "check": all(rule is not None and "holdAndDelegate" in rule["action"] for rule in found),
                "deny": all(rule is None for rule in found),
            }[kind]
        )
    try:
        run_tests(compiled, USERS, nodes)
    except PolicyError:
        assert not expected
    else:
        assert expected


def decides(rules: list[dict[str, Any]], address: str, login: str) -> dict[str, Any] | None:
    """The first rule that lets an address log in, as the client finds it."""
    for rule in rules:
        if {"nodeIP": address} in rule["principals"]:
            users = rule["sshUsers"]
            if users.get(login, users.get("*", "") if login != "root" else ""):
                return dict(rule)
    return None
