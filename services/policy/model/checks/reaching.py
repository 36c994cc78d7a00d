"""Reachability between names: whether every address of one name reaches another, by the rules of all nodes.

Rules are bits of a number, as in `services.shared.access.matching`. Addresses that are sources of the same rules, and
belong to one user if some rule goes to `autogroup:self`, are evaluated once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from services.policy.model.sections.testsections import Attributes
from services.shared.access.compiled import IDENTITY_KINDS, Alias, CompiledPolicy, Grant
from services.shared.access.directory import Directory, Identity, Member
from services.shared.access.matching import Matching
from services.shared.access.posture import meets
from services.shared.access.ranges import Span

Owned = tuple[Identity, int]
"""A user, and the rules that a device of theirs is a source of."""


@dataclass(frozen=True, slots=True)
class SourceAddresses:
    """Addresses with equal access as sources."""

    rules: int
    """Rules that they are a source of."""
    owned: frozenset[Owned] = frozenset()
    """Their owners, if some rule goes to `autogroup:self`."""


@dataclass(frozen=True, slots=True)
class OwnDevice:
    """Addresses of users' devices, with the devices of the same user as destinations."""

    rules: int
    device_rules: int
    """Rules that any address of the device is a source of."""
    destination_rules: int
    """Rules that reach a device of the same user."""


@dataclass(frozen=True, slots=True)
class _Target:
    rules: int
    owners: frozenset[Identity]
    """Users with a device among the addresses."""


class Reaching:
    """Reachability in one policy and one snapshot. Each name is resolved once, at a cost linear in its nodes."""

    def __init__(self, policy: CompiledPolicy, directory: Directory) -> None:
        self._directory = directory
        self._grants = policy.grants
        self._postures = {posture.name: posture for posture in policy.postures}
        self._matching = Matching(directory, policy.grants)
        self._opening: dict[tuple[tuple[int, ...], int], int] = {}
        self._met_by: dict[Attributes, int] = {}
        self._sources: dict[tuple[Alias, Attributes | None], frozenset[SourceAddresses]] = {}
        self._own: dict[tuple[Alias, Attributes | None], frozenset[OwnDevice]] = {}
        self._targets: dict[Alias, _Target] = {}

    # Queries

    def sources(self, alias: Alias, attributes: Attributes | None) -> frozenset[SourceAddresses]:
        """Return the classes of a name's addresses as sources; none when it has none.

        `attributes` replace those of its nodes.
        """
        key = alias, attributes
        if key not in self._sources:
            found = self._identified(*key) if alias.kind in IDENTITY_KINDS else self._literal(*key)
            self._sources[key] = frozenset(found)
        return self._sources[key]

    def own_devices(self, alias: Alias, attributes: Attributes | None) -> frozenset[OwnDevice]:
        """Return the classes of the addresses of a name's users; none when it names no user with a device."""
        key = alias, attributes
        if key not in self._own:
            self._own[key] = frozenset(self._owned(*key))
        return self._own[key]

    def reach(
        self, sources: frozenset[SourceAddresses], destination: Alias, protocols: tuple[int, ...], port: int
    ) -> bool:
        """Return whether each of the sources reaches some address of the destination."""
        opening, target = self._open(protocols, port), self._target(destination)
        by_address, to_self = opening & target.rules, opening & self._matching.self
        return all(
            one.rules & by_address or any(rules & to_self and owner in target.owners for owner, rules in one.owned)
            for one in sources
        )

    def reach_own(self, devices: frozenset[OwnDevice], protocols: tuple[int, ...], port: int) -> bool:
        """Return whether each of some devices reaches a device of the same user, itself among them."""
        opening = self._open(protocols, port)
        to_self = opening & self._matching.self
        return all(one.rules & one.destination_rules & opening or one.device_rules & to_self for one in devices)

    # Rules

    def _open(self, protocols: tuple[int, ...], port: int) -> int:
        """Return the rules that open a port for one of the protocols."""
        key = protocols, port
        if key not in self._opening:
            wanted = set(protocols)
            self._opening[key] = sum(1 << n for n, grant in enumerate(self._grants) if _opens(grant, wanted, port))
        return self._opening[key]

    def _met(self, one: Member, attributes: Attributes | None) -> int:
        return self._matching.postures_met(one) if attributes is None else self._met_with(attributes)

    def _met_with(self, attributes: Attributes) -> int:
        """Return the rules with postures that these attributes meet."""
        if attributes not in self._met_by:
            given = dict(attributes)
            passed = {posture.name for posture in self._postures.values() if meets(posture, given)}
            self._met_by[attributes] = sum(
                1 << n for n, g in enumerate(self._grants) if not g.postures or not passed.isdisjoint(g.postures)
            )
        return self._met_by[attributes]

    # Sources

    def _at_each_place(self, one: Member, attributes: Attributes | None) -> list[int]:
        """Return the rules that a node is a source of, for each of its addresses."""
        named, met = self._matching.source_identities.get(one.identity, 0), self._met(one, attributes)
        segments = self._matching.source_segments
        return [(named | segments.at(place)) & met for place in one.places]

    def _identified(self, alias: Alias, attributes: Attributes | None) -> Iterator[SourceAddresses]:
        for identity in self._directory.identities_of(alias):
            for one in self._directory.by_identity[identity]:
                rules = self._at_each_place(one, attributes)
                owned = self._owner(one, rules)
                yield from (SourceAddresses(each, owned) for each in rules)

    def _owner(self, one: Member, rules: list[int]) -> frozenset[Owned]:
        to_self = _any(rules) & self._matching.self
        return frozenset({(one.identity, to_self)}) if one.user_id and to_self else frozenset()

    def _literal(self, alias: Alias, attributes: Attributes | None) -> Iterator[SourceAddresses]:
        for span in self._directory.spans_of(alias, source=False):
            yield self._span(span, attributes)

    def _span(self, span: Span, attributes: Attributes | None) -> SourceAddresses:
        """Return a span of literal addresses with the rules of its nodes, and with those of the addresses alone."""
        nodes = {one.node.id: one for one in self._directory.inside((span,))}.values()
        rules = met = 0
        owned: set[Owned] = set()
        for one in nodes:
            passed = self._met(one, attributes)
            met |= passed
            rules |= self._matching.source_identities.get(one.identity, 0) & passed
            owned |= self._owner(one, self._at_each_place(one, attributes))
        if not nodes:
            met = -1 if attributes is None else self._met_with(attributes)
        return SourceAddresses(rules | self._matching.source_segments.over((span,)) & met, frozenset(owned))

    def _owned(self, alias: Alias, attributes: Attributes | None) -> Iterator[OwnDevice]:
        for identity in self._directory.identities_of(alias):
            if not identity[0]:
                continue
            devices = self._directory.by_identity[identity]
            destination = self._destination_rules(identity, devices)
            for one in devices:
                rules = self._at_each_place(one, attributes)
                yield from (OwnDevice(each, _any(rules), destination) for each in rules)

    # Destinations

    def _destination_rules(self, identity: Identity, nodes: list[Member]) -> int:
        segments = self._matching.destination_segments
        places = _any(segments.at(place) for one in nodes for place in one.places)
        return self._matching.destination_identities.get(identity, 0) | places

    def _target(self, alias: Alias) -> _Target:
        if alias not in self._targets:
            if alias.kind in IDENTITY_KINDS:
                found = {
                    identity: self._directory.by_identity[identity] for identity in self._directory.identities_of(alias)
                }
                rules = _any(self._destination_rules(identity, nodes) for identity, nodes in found.items())
                owners = frozenset(identity for identity in found if identity[0])
            else:
                spans = self._directory.spans_of(alias, source=False)
                identities = {one.identity for one in self._directory.inside(spans)}
                rules = self._matching.destination_segments.over(spans)
                rules |= _any(self._matching.destination_identities.get(identity, 0) for identity in identities)
                owners = frozenset(identity for identity in identities if identity[0])
            self._targets[alias] = _Target(rules, owners)
        return self._targets[alias]


def _any(masks: Iterable[int]) -> int:
    """Return the bitwise or of some numbers."""
    found = 0
    for mask in masks:
        found |= mask
    return found


def _opens(grant: Grant, protocols: set[int], port: int) -> bool:
    return not grant.via and any(
        (not access.protocols or not protocols.isdisjoint(access.protocols))
        and any(first <= port <= last for first, last in access.ports)
        for access in grant.network
    )
