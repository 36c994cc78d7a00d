"""Who sees whom, found the slow way: every rule against every pair of nodes, on explicit sets of addresses.

Written from the semantics alone and sharing nothing with the evaluator but the compiled policy's types. Sets hold the
addresses of a small universe: those of the nodes, and one inside each prefix that tests use.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from services.shared.access.compiled import Alias, AliasKind, CompiledPolicy, Grant
from services.shared.access.inputs import AccessNode, AccessService, AccessUser

EXITS = {"0.0.0.0/0", "::/0"}
INTERNET = frozenset({"8.8.8.8", "2001:4860::1"})
OUTSIDE = frozenset({"10.1.0.1", "10.2.0.1", "192.168.7.1"}) | INTERNET


@dataclass(frozen=True)
class Rule:
    """One rule in force at a node."""

    source: frozenset[str]
    destination: frozenset[str]
    everything: bool = False
    """The destination is the literal wildcard."""
    internet: bool = False


class Naive:
    """The slow evaluator."""

    def __init__(
        self,
        policy: CompiledPolicy,
        users: Iterable[AccessUser],
        nodes: Iterable[AccessNode],
        services: Iterable[AccessService] = (),
    ) -> None:
        self.policy = policy
        self.users = {user.id: user for user in users}
        self.nodes = {node.id: node for node in nodes}
        self.services = {service.name: service for service in services}
        self.universe = OUTSIDE | {a for node in self.nodes.values() for a in (node.ipv4, node.ipv6)}
        self.universe |= {a for service in self.services.values() for a in virtual(service)}

    def sees(self, one: int, other: int) -> bool:
        """Whether two nodes are peers."""
        first, second = self.nodes[one], self.nodes[other]
        return one != other and any(
            self.reaches(rule, a, b)
            for rules in (self.rules(first), self.rules(second))
            for rule in rules
            for a, b in ((first, second), (second, first))
        )

    def reaches(self, rule: Rule, source: AccessNode, destination: AccessNode) -> bool:
        """Whether one rule lets one node reach another."""
        if not (self.own(source) | self.routed(source)) & rule.source:
            return False
        there = self.own(destination) | self.routed(destination) | self.served(destination)
        if rule.everything or there & rule.destination:
            return True
        return self.is_exit(destination) and rule.internet

    def own(self, node: AccessNode) -> set[str]:
        return {node.ipv4, node.ipv6}

    def served(self, node: AccessNode) -> set[str]:
        """Virtual addresses of the services that a node serves."""
        return {a for service in self.services.values() if self.serves(node, service) for a in virtual(service)}

    def serves(self, node: AccessNode, service: AccessService) -> bool:
        """Whether a node may answer for a service: tagged, and approved by an administrator or the policy."""
        if not node.tags:
            return False
        if service.hosts is not None:
            return node.id in service.hosts
        return any(
            self.selects(alias, node)
            for entry in self.policy.service_approvers
            if entry.subject == service.name or entry.subject in service.tags
            for alias in entry.approvers
        )

    def may(self, node: AccessNode, address: str, *, by_route: bool = True, network: bool = False) -> bool:
        """Whether some rule without via lets a node, or what it routes for, reach an address; `network`: with ports."""
        here = self.own(node) | (self.routed(node) if by_route else set())
        return any(
            here & rule.source and (rule.everything or address in rule.destination)
            for grant in self.policy.grants
            if not grant.via and (grant.network or not network)
            for rule in self._ordinary(grant)
        )

    def effective(self, node: AccessNode) -> set[str]:
        return set(node.advertised_routes) & set(node.approved_routes)

    def routed(self, node: AccessNode) -> set[str]:
        return {a for route in self.effective(node) - EXITS for a in self.universe if inside(a, route)}

    def is_exit(self, node: AccessNode) -> bool:
        return bool(self.effective(node) & EXITS)

    def rules(self, node: AccessNode) -> list[Rule]:
        """All rules in force at a node, not reduced."""
        found = []
        for grant in self.policy.grants:
            found.extend(self._steering(grant, node) if grant.via else self._ordinary(grant))
            if any(alias.kind is AliasKind.SELF for alias in grant.destination) and node.user_id and not node.tags:
                own = [n for n in self.nodes.values() if n.user_id == node.user_id and not n.tags]
                source = self._sources(grant)
                senders = [n for n in own if self.own(n) & source]
                if senders:
                    found.append(Rule(self._all(senders), self._all(own)))
        return found

    def _ordinary(self, grant: Grant) -> list[Rule]:
        source = frozenset(self._sources(grant))
        found = []
        for alias in grant.destination:
            if alias.kind is AliasKind.SELF:
                continue
            wildcard = alias.kind is AliasKind.ANY and bool(grant.network)
            internet = wildcard or alias.kind is AliasKind.INTERNET
            found.append(Rule(source, frozenset(self.resolve(alias)), wildcard, internet))
        return found

    def _steering(self, grant: Grant, node: AccessNode) -> list[Rule]:
        """A via grant lets its sources see this node when it carries a tag and serves a destination."""
        if not set(grant.via) & set(node.tags):
            return []
        for alias in grant.destination:
            serves = alias.kind is AliasKind.PREFIXES and self.routed(node) & self.resolve(alias)
            if serves or (alias.kind is AliasKind.INTERNET and self.is_exit(node)):
                return [Rule(frozenset(self._sources(grant)), frozenset({node.ipv4, node.ipv6}))]
        return []

    def _sources(self, grant: Grant) -> set[str]:
        found = {address for alias in grant.source for address in self.resolve(alias)}
        if any(alias.kind is AliasKind.ANY for alias in grant.source):
            found |= {address for node in self.nodes.values() for address in self.routed(node)}
        return found

    def _all(self, nodes: Iterable[AccessNode]) -> frozenset[str]:
        return frozenset(address for node in nodes for address in self.own(node))

    def resolve(self, alias: Alias) -> set[str]:
        """Addresses of the universe that an alias stands for."""
        match alias.kind:
            case AliasKind.ANY:
                return {a for a in self.universe if inside(a, "100.64.0.0/10") or inside(a, "fd7a:115c:a1e0::/48")}
            case AliasKind.DANGER_ALL:
                return set(self.universe)
            case AliasKind.INTERNET:
                return set(INTERNET)
            case AliasKind.PREFIXES:
                return {a for a in self.universe if any(inside(a, prefix) for prefix in alias.ranges)}
            case AliasKind.SERVICE:
                return virtual(self.services[alias.name]) if alias.name in self.services else set()
            case _:
                return set(self._all(node for node in self.nodes.values() if self.selects(alias, node)))

    def selects(self, alias: Alias, node: AccessNode) -> bool:
        """Whether an identity alias names a node."""
        if alias.kind is AliasKind.TAG:
            return alias.name in node.tags
        if alias.kind is AliasKind.TAGGED:
            return bool(node.tags)
        user = self.users.get(node.user_id)
        if node.tags or user is None:
            return False
        if alias.kind is AliasKind.MEMBER:
            return True
        if alias.kind is AliasKind.USER:
            return alias.name in (user.email, user.name + "@")
        if alias.kind is AliasKind.GROUP:
            members = next(group.members for group in self.policy.groups if group.name == alias.name)
            return user.email in members
        if alias.kind is AliasKind.ROLE:
            return user.role == alias.name or (alias.name, user.role) == ("admin", "owner")
        return False


def virtual(service: AccessService) -> set[str]:
    """The addresses of a service."""
    return {service.ipv4, service.ipv6} - {""}


def inside(address: str, prefix: str) -> bool:
    """Whether an address lies in a prefix."""
    return ip_address(address) in ip_network(prefix, strict=False)
