"""Packet filters and peers the slow way: see `slow`."""

from __future__ import annotations

import json
from typing import Any

from tests.unit.access.slow import (
    COMPANIONS,
    EVERYTHING,
    EXITS,
    INTERNET,
    INTERNET_TEXT,
    NUMBERS,
    TAILNET_TEXT,
    Grant,
    Names,
    Node,
    Range,
    Rule,
    inside,
    meet,
    prefixes,
    printed,
    span,
    united,
)

Ranges = list[Range]


def parse_ports(text: str) -> Ranges:
    if text == "*":
        return [(0, 65535)]
    return [(int(part.partition("-")[0]), int(part.rpartition("-")[2])) for part in text.split(",")]


def number(name: str) -> int:
    return NUMBERS.get(name.lower()) or int(name or 0)


def grants_of(document: dict[str, Any]) -> list[Grant]:
    """The rules in the order in which they are compiled: grants first, then ACLs, one for each destination."""
    if document.get("acls") is None and document.get("grants") is None:
        return [Grant(["*"], ["*"], [(0, [(0, 65535)])])]
    made = []
    for item in document.get("grants") or []:
        access = []
        for text in item.get("ip") or []:
            protocol, _, ports = text.rpartition(":")
            access.append((number(protocol), parse_ports(ports)))
        made.append(Grant(item["src"], item["dst"], access, item.get("app") or {}, item.get("via") or []))
    for item in document.get("acls") or []:
        targets = [(text.rpartition(":")[0], parse_ports(text.rpartition(":")[2])) for text in item["dst"]]
        if any(not name.startswith("autogroup:") for name, _ in targets):
            targets.sort(key=lambda target: target[0] == "autogroup:self")
        made.extend(Grant(item["src"], [name], [(number(item.get("proto") or ""), p)]) for name, p in targets)
    return made


class Slow(Names):
    """Filters, peers and routes of every node."""

    def __init__(self, document: dict[str, Any], topology: dict[str, Any]) -> None:
        super().__init__(document, topology)
        self.grants = grants_of(document)
        self._rules: dict[Node, list[Rule]] = {}
        self.shared = self.rules(Node("", 0, [], "", []))
        """Rules of a node that is neither a user's nor tagged: those that all nodes have."""

    # Rules before they are reduced

    def sources(self, grant: Grant) -> tuple[list[str], Ranges]:
        """How the sources of a grant are spelled, and what they are."""
        if "autogroup:danger-all" in grant.src:
            return ["*"], EVERYTHING
        ranges = united(one for name in grant.src for one in self.ranges(name))
        if "*" not in grant.src:
            return sorted(printed(one) for one in ranges), ranges
        texts = {*TAILNET_TEXT, *self.routes}
        for name in grant.src:
            if name != "*" and not grant.via:
                texts.update(self.texts(name))
            texts.update(printed(one) for one in self.ranges(name) if not meet([one], map(span, TAILNET_TEXT)))
        return sorted(texts), united([*ranges, *map(span, self.routes)])

    def rules(self, node: Node) -> list[Rule]:
        """The rules of one node, merged."""
        if node in self._rules:
            return self._rules[node]
        made: list[Rule] = []
        for grant in self.grants:
            made += self._steering(grant, node) if grant.via else self._ordinary(grant) + self._to_self(grant, node)
        merged: list[Rule] = []
        known: dict[tuple[tuple[str, ...], int], Rule] = {}
        for rule in made:
            key = tuple(rule.texts), rule.protocol
            if rule.ports and key in known:
                known[key].ports += rule.ports
                continue
            if rule.ports:
                known[key] = rule
            merged.append(rule)
        self._rules[node] = merged
        return merged

    @staticmethod
    def _opened(grant: Grant, texts: list[str], sources: Ranges, targets: list[str]) -> list[Rule]:
        """A rule for each of the protocols and ports of a grant."""
        if not texts or not targets:
            return []
        return [
            Rule(texts, sources, protocol, [(text, *ends) for text in targets for ends in ports])
            for protocol, ports in grant.access
        ]

    def _ordinary(self, grant: Grant) -> list[Rule]:
        texts, sources = self.sources(grant)
        names = [name for name in grant.dst if name != "autogroup:self"]
        made = self._opened(grant, texts, sources, [text for name in names for text in self.texts(name)])
        if not grant.app or not grant.src:
            return made
        made.append(Rule(texts, sources, given=[(self.ranges(name), grant.app) for name in names]))
        back = united(one for name in names for one in self.ranges(name))
        spelled = {printed(one) for one in back}
        if "*" in names:
            spelled.update(self.routes)
            back = united([*back, *map(span, self.routes)])
        senders = [one for name in grant.src for one in self.ranges(name)]
        for cap, companion in COMPANIONS.items():
            if cap in grant.app and spelled:
                made.append(Rule(sorted(spelled), back, given=[(senders, {companion: None})]))
        return made

    def _to_self(self, grant: Grant, node: Node) -> list[Rule]:
        if "autogroup:self" not in grant.dst or not node.user:
            return []
        own = [other for other in self.nodes if other.user == node.user]
        senders = [other for other in own if meet(other.own, self.sources(grant)[1])]
        if not senders:
            return []
        from_own, everyone = (united(one for other in some for one in other.own) for some in (senders, own))
        texts = sorted(printed(one) for one in from_own)
        made = self._opened(grant, texts, from_own, [address for other in own for address in other.addresses])
        if grant.app:
            made.append(Rule(texts, from_own, given=[(other.own, grant.app) for other in own]))
        for cap, companion in COMPANIONS.items():
            if cap in grant.app:
                given = [(other.own, {companion: None}) for other in senders]
                made.append(Rule(sorted(printed(one) for one in everyone), everyone, given=given))
        return made

    def _literals(self, grant: Grant) -> Ranges:
        """Destinations of a via grant that are prefixes: all others stand for nodes, and steer nothing."""
        names = [name for name in grant.dst if name != "*" and not name.startswith("autogroup:")]
        return [one for name in names if self.selected(name) is None for one in self.ranges(name)]

    def _steering(self, grant: Grant, node: Node) -> list[Rule]:
        if not set(grant.via) & set(node.tags):
            return []
        targets = [printed(one) for one in self._literals(grant) if meet([one], node.served)]
        if "autogroup:internet" in grant.dst and node.exits:
            targets += INTERNET_TEXT
        return self._opened(grant, *self.sources(grant), targets)

    # What a node is sent

    def filter(self, node: Node) -> list[Any]:
        """The reduced filter, what is inside of its rules sorted."""
        made: list[Any] = []
        for rule in self.rules(node):
            ports = sorted(entry for entry in rule.ports if self._concerns(entry[0], node))
            given = []
            for ranges, caps in rule.given:
                targets = {prefixes(one)[0] for one in node.own if inside([one], ranges)}
                targets.update(p for one in ranges for p in prefixes(one) if meet([span(p)], node.served))
                if targets:
                    given.append([sorted(targets), caps])
            if ports or given:
                protocols = [rule.protocol] if rule.protocol else []
                made.append([rule.texts, ports, protocols, sorted(given, key=json.dumps)])
        return made

    @staticmethod
    def _concerns(text: str, node: Node) -> bool:
        if text == "*":
            return True
        there = [span(text)]
        return meet(there, [*node.own, *node.served]) or bool(node.exits and inside(there, INTERNET))

    # Who sees whom, and which routes

    def peers(self, node: Node) -> set[str]:
        """Names of the nodes that a node sees."""
        return {other.name for other in self.nodes if other is not node and self._see(node, other)}

    def _see(self, node: Node, other: Node) -> bool:
        pairs = (node, other), (other, node)
        if any(self._steers(source, router) for source, router in pairs):
            return True
        rules = [rule for one in (node, other) if not one.tags for rule in self.rules(one)] + self.shared
        return any(self._is_source(rule.sources, a) and self._is_reached(rule, b) for rule in rules for a, b in pairs)

    @staticmethod
    def _is_source(sources: Ranges, node: Node) -> bool:
        return meet(sources, [*node.own, *node.served])

    @staticmethod
    def _is_reached(rule: Rule, node: Node) -> bool:
        wide = any(inside(part, rule.reached) for part in (INTERNET, EVERYTHING[:1], EVERYTHING[1:]))
        return meet(rule.reached, [*node.own, *node.served]) or bool(node.exits and wide)

    def _steers(self, source: Node, router: Node) -> bool:
        return any(
            set(grant.via) & set(router.tags)
            and self._is_source(self.sources(grant)[1], source)
            and self._affected(grant, router)
            for grant in self.grants
        )

    def _affected(self, grant: Grant, router: Node) -> set[str]:
        """Routes of a node that a via grant decides about."""
        there = self._literals(grant)
        exits = router.exits if "autogroup:internet" in grant.dst else []
        return {*exits, *(route for route in router.subnets if meet([span(route)], there))}

    def allowed(self, viewer: Node, peer: Node) -> set[str]:
        """Routes of a peer that a viewer is shown."""
        include: set[str] = set()
        exclude: set[str] = set()
        for grant in self.grants:
            if not grant.via or not self._is_source(self.sources(grant)[1], viewer):
                continue
            affected = self._affected(grant, peer)
            elected = {r for r in affected if r in EXITS or self._first(r, set(grant.via)) is peer}
            if set(grant.via) & set(peer.tags):
                include |= elected
                exclude |= affected - elected
            else:
                exclude |= affected
        for route in include | exclude:
            if any(self._is_source(rule.sources, viewer) and self._opens(rule, route) for rule in self.shared):
                exclude.discard(route)
                if route not in EXITS and self._first(route) is not peer:
                    include.discard(route)
        exclude -= include
        subnets = {r for r in peer.subnets if self._first(r) is peer and (r in viewer.subnets or self._may(viewer, r))}
        own = [rule for rule in self.shared if meet(rule.sources, viewer.own)]
        exits = {route for route in peer.exits if any(self._opens(rule, route) for rule in own)}
        return ((subnets | exits) - exclude) | include

    def _first(self, route: str, tags: set[str] | None = None) -> Node | None:
        """The oldest node that serves a route, of those with one of the tags."""
        serving = (node for node in self.nodes if route in node.subnets)
        return next((node for node in serving if tags is None or tags & set(node.tags)), None)

    @staticmethod
    def _opens(rule: Rule, route: str) -> bool:
        if route in EXITS:
            return any(inside(part, rule.reached) for part in (INTERNET, EVERYTHING[:1], EVERYTHING[1:]))
        return meet([span(route)], rule.reached)

    def _may(self, viewer: Node, route: str) -> bool:
        """Whether a rule lets the viewer, or what it routes for, reach the route, or the route reach one of them."""
        there = [span(route)]
        return any(
            (self._is_source(rule.sources, viewer) and meet(rule.reached, there))
            or (meet(rule.sources, there) and self._is_reached(rule, viewer))
            for rule in self.shared
        )
