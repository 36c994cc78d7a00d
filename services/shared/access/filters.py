"""Builds the packet filter of a node, the rules that it enforces, in the hosted service's spelling and order.

Order of the whole list: grants as compiled; within a grant its ip rules, its app rule, the companions of that, then the
same for `autogroup:self`. Rules with equal sources and protocols merge into the place of the first, whether or not that
first one applies to the node. Only then is the list reduced to the node's own addresses and routes.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.shared.access.classes import Classes
from services.shared.access.compiled import IDENTITY_KINDS, AliasKind, Capability, Grant, NetworkAccess
from services.shared.access.directory import Directory, Member
from services.shared.access.matching import Matching
from services.shared.access.printing import Printer
from services.shared.access.ranges import (
    INTERNET_TEXT,
    full_length,
    overlap,
    show,
    span,
)
from services.shared.access.targets import Targets, is_internet

Rule = dict[str, Any]
Position = tuple[int, int, int]
"""Grant, phase within it, item within that."""

_NETWORK, _APP, _COMPANION, _SELF_NETWORK, _SELF_APP, _SELF_COMPANION = range(6)

COMPANIONS = {
    "tailscale.com/cap/drive": "tailscale.com/cap/drive-sharer",
    "tailscale.com/cap/relay": "tailscale.com/cap/relay-target",
}
"""Capabilities that need the reverse direction announced under another name."""


@dataclass(slots=True)
class _Collected:
    """The rules of one node while they are collected and ordered."""

    network: dict[tuple[int, tuple[int, ...]], tuple[Position, list[Rule]]] = field(default_factory=dict)
    other: list[tuple[Position, Rule]] = field(default_factory=list)

    def add(self, position: Position, key: tuple[int, tuple[int, ...]], entries: list[Rule]) -> None:
        """Merge port entries into the rule with this key; it takes the earliest position."""
        known = self.network.get(key)
        if known is None:
            self.network[key] = position, entries
        else:
            self.network[key] = min(position, known[0]), known[1] + entries


@dataclass(frozen=True, slots=True)
class _OwnDevices:
    """The devices of one user in a rule to `autogroup:self`, as lists by number."""

    sources: int
    everyone: int


class Filters:
    """Packet filters of the nodes of one snapshot."""

    def __init__(self, directory: Directory, matching: Matching, classes: Classes, grants: Sequence[Grant]) -> None:
        self._directory = directory
        self._matching = matching
        self._classes = classes
        self._grants = grants
        self._printer = Printer(directory)
        self._firsts: dict[tuple[int, tuple[int, ...]], Position] | None = None
        self._targets = Targets(directory)
        self._own: dict[tuple[int, int], _OwnDevices | None] = {}
        self._companions = sum(1 << n for n, g in enumerate(grants) if any(c.name in COMPANIONS for c in g.app))
        self._app = sum(1 << n for n, g in enumerate(grants) if g.app)

    def key(self, node_id: int) -> Hashable:
        """Return a key; equal keys mean equal filters. Nodes reached only by wide destinations share one."""
        one, masks = self._directory.members[node_id], self._classes.masks[node_id]
        reached = masks.destination
        own = (
            one.subnets
            or one.exits
            or self._directory.services.served_by(node_id)
            or reached & self._app
            or masks.source & self._companions
            or reached & self._matching.destination_identities.get(one.identity, 0)
            or (self._matching.self and one.user_id)
        )
        if own:
            return node_id
        return reached, *map(self._matching.destination_segments.index, one.places)

    def rules(self, node_id: int) -> list[Rule]:
        """Return the rules of one node, in the order sent."""
        one, masks = self._directory.members[node_id], self._classes.masks[node_id]
        firsts = self._first_positions()
        collected = _Collected()
        relevant = masks.destination | (masks.source & self._companions)
        if one.exits:
            relevant = (1 << len(self._grants)) - 1
        if one.user_id:
            relevant |= self._matching.self
        for number in _bits(relevant):
            grant = self._grants[number]
            if grant.via:
                self._steered(number, grant, one, collected)
                continue
            self._ordinary(number, grant, one, collected)
            if one.user_id and self._matching.self >> number & 1:
                self._to_self(number, grant, one, collected)
        rules = list(collected.other)
        for (source, protocols), (position, entries) in collected.network.items():
            rule: Rule = {"SrcIPs": self._printer.text(source), "DstPorts": entries}
            if protocols:
                rule["IPProto"] = list(protocols)
            rules.append((min(position, firsts.get((source, protocols), position)), rule))
        rules.sort(key=lambda placed: placed[0])
        return [rule for _, rule in rules]

    def _first_positions(self) -> dict[tuple[int, tuple[int, ...]], Position]:
        """Return the first position of each pair of sources and protocols among the rules that all nodes share."""
        if self._firsts is None:
            self._firsts = {}
            for number, grant in enumerate(self._grants):
                if grant.via or not grant.network or not self._has_destination(grant):
                    continue
                source = self._printer.sources(grant)
                if source is None:
                    continue
                for item, access in enumerate(grant.network):
                    self._firsts.setdefault((source, access.protocols), (number, _NETWORK, item))
        return self._firsts

    def _has_destination(self, grant: Grant) -> bool:
        return any(
            alias.kind not in (AliasKind.SELF, AliasKind.SHARED)
            and (alias.kind not in IDENTITY_KINDS or self._directory.identities_of(alias))
            and (alias.kind is not AliasKind.SERVICE or self._directory.spans_of(alias, source=False))
            for alias in grant.destination
        )

    # Rules to other destinations than `autogroup:self`

    def _ordinary(self, number: int, grant: Grant, one: Member, collected: _Collected) -> None:
        source = self._printer.sources(grant)
        if grant.network and source is not None:
            targets = [text for alias in grant.destination for text in self._targets.texts(alias, one)]
            for item, access in enumerate(grant.network if targets else ()):
                collected.add((number, _NETWORK, item), (source, access.protocols), _ports(targets, access))
        if not grant.app or not grant.source:
            return
        given = [
            {"Dsts": dsts, "CapMap": _cap_map(grant.app)}
            for alias in grant.destination
            if (dsts := self._targets.of_capability(self._targets.prefixes(alias), one, served=True))
        ]
        if given:
            texts = self._printer.text(source) if source is not None else []
            collected.other.append(((number, _APP, 0), {"SrcIPs": texts, "CapGrant": given}))
        for item, companion in enumerate(_companions(grant)):
            prefixes = [prefix for alias in grant.source for prefix in self._targets.prefixes(alias)]
            dsts = self._targets.of_capability(prefixes, one, grant.postures)
            texts = self._printer.destinations(grant)
            if dsts and texts:
                rule = {"SrcIPs": texts, "CapGrant": [{"Dsts": dsts, "CapMap": {companion: None}}]}
                collected.other.append(((number, _COMPANION, item), rule))

    # Rules to `autogroup:self`, and rules that steer

    def _to_self(self, number: int, grant: Grant, one: Member, collected: _Collected) -> None:
        own_devices = self._own_devices(number, one)
        if own_devices is None:
            return
        source = own_devices.sources
        for item, access in enumerate(grant.network):
            entries = _ports(list(one.addresses), access)
            collected.add((number, _SELF_NETWORK, item), (source, access.protocols), entries)
        if not grant.app:
            return
        own = sorted(full_length(address) for address in one.addresses)
        given = [{"Dsts": own, "CapMap": _cap_map(grant.app)}]
        collected.other.append(((number, _SELF_APP, 0), {"SrcIPs": self._printer.text(source), "CapGrant": given}))
        if not self._classes.masks[one.node.id].source_address >> number & 1:
            return
        everyone = self._printer.text(own_devices.everyone)
        for item, companion in enumerate(_companions(grant)):
            rule = {"SrcIPs": everyone, "CapGrant": [{"Dsts": own, "CapMap": {companion: None}}]}
            collected.other.append(((number, _SELF_COMPANION, item), rule))

    def _own_devices(self, number: int, one: Member) -> _OwnDevices | None:
        """Return a user's devices for a rule to `autogroup:self`; None if none of them is a source."""
        key = number, one.user_id
        if key not in self._own:
            devices = self._directory.by_identity[one.identity]
            masks = self._classes.masks
            sources = [device for device in devices if masks[device.node.id].source_address >> number & 1]
            self._own[key] = _OwnDevices(self._print(sources), self._print(devices)) if sources else None
        return self._own[key]

    def _print(self, nodes: Sequence[Member]) -> int:
        return self._printer.intern(tuple(sorted(show(part) for part in self._printer.union(nodes))))

    def _steered(self, number: int, grant: Grant, one: Member, collected: _Collected) -> None:
        if not grant.network or set(grant.via).isdisjoint(one.identity[1]):
            return
        source = self._printer.sources(grant, literal_others=False)
        targets: list[str] = []
        for alias in grant.destination:
            if alias.kind is AliasKind.INTERNET and one.exits:
                targets.extend(INTERNET_TEXT)
            elif alias.kind is AliasKind.PREFIXES:
                targets.extend(
                    show(target)
                    for target in map(span, alias.ranges)
                    if overlap((target,), one.subnet_spans) or (one.exits and is_internet(alias, target))
                )
        if source is None or not targets:
            return
        for item, access in enumerate(grant.network):
            collected.add((number, _NETWORK, item), (source, access.protocols), _ports(targets, access))


def _ports(targets: list[str], access: NetworkAccess) -> list[Rule]:
    return [
        {"IP": target, "Ports": {"First": first, "Last": last}} for target in targets for first, last in access.ports
    ]


def _cap_map(app: tuple[Capability, ...]) -> dict[str, Any]:
    return {capability.name: json.loads(capability.values) for capability in app}


def _companions(grant: Grant) -> list[str]:
    names = {capability.name for capability in grant.app}
    return [companion for name, companion in COMPANIONS.items() if name in names]


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
