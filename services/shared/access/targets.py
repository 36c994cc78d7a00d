"""Destinations of a rule that apply to one node, as the strings of its filter rules. Used by `filters`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from services.shared.access.compiled import IDENTITY_KINDS, Alias, AliasKind
from services.shared.access.directory import Directory, Member
from services.shared.access.ranges import (
    INTERNET,
    INTERNET_TEXT,
    Span,
    Spans,
    cidrs,
    coalesce,
    contains,
    covers,
    full_length,
    overlaps,
    show,
    span,
)


class Targets:
    """Destinations of the rules of one snapshot; caches which nodes are on whose routes."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._on_routes: dict[tuple[Spans, bool], dict[int, Member]] = {}

    def texts(self, alias: Alias, one: Member) -> Iterator[str]:  # noqa: C901  (one case per kind of alias)
        """Return the destinations of an alias that apply to the node, each whole, never narrowed to the node."""
        if alias.kind is AliasKind.ANY:
            yield "*"
        elif alias.kind is AliasKind.INTERNET:
            for text in INTERNET_TEXT:
                if self._concerns(span(text), one):
                    yield text
        elif alias.kind is AliasKind.PREFIXES:
            for target in map(span, alias.ranges):
                if self._concerns(target, one) or (one.exits and is_internet(alias, target)):
                    yield show(target)
        elif alias.kind is AliasKind.SERVICE:
            for one_place in self._directory.spans_of(alias, source=False):
                if self._concerns(one_place, one):
                    yield show(one_place)
        elif alias.kind in IDENTITY_KINDS:
            yield from (
                address for address, place in self._identified(alias, one) if self._concerns((place, place), one)
            )

    def _identified(self, alias: Alias, one: Member) -> Iterator[tuple[str, int]]:
        """Return the addresses that an identity alias selects; only the node's own, unless the node has routes."""
        if one.subnets or one.exits:
            for other in self._near(one):
                if self._directory.selects(alias, other):
                    yield from zip(other.addresses, other.places, strict=True)
        elif self._directory.selects(alias, one):
            yield from zip(one.addresses, one.places, strict=True)

    def _near(self, one: Member) -> list[Member]:
        """Return a node with routes and the nodes on its routes, by id: no other node can matter to its filter."""
        key = one.subnet_spans, bool(one.exits)
        found = self._on_routes.get(key)
        if found is None:
            spans = coalesce([*one.subnet_spans, *(INTERNET if one.exits else ())])
            found = self._on_routes[key] = {other.node.id: other for other in self._directory.inside(spans)}
        return [other for _, other in sorted({**found, one.node.id: one}.items())]

    def _concerns(self, target: Span, one: Member) -> bool:
        if any(target[0] <= place <= target[1] for place in one.places):
            return True
        served = self._directory.services.served_by(one.node.id)
        if any(target[0] <= place <= target[1] for service in served for place in service.places):
            return True
        if one.subnet_spans and overlaps(one.subnet_spans, target):
            return True
        return bool(one.exits) and covers(INTERNET, [target])

    def prefixes(self, alias: Alias) -> Sequence[Span]:
        """Return the prefixes of an alias as destinations of a capability."""
        if alias.kind in (AliasKind.SELF, AliasKind.SHARED):
            return ()
        return self._directory.spans_of(alias, source=False)

    def of_capability(
        self, prefixes: Sequence[Span], one: Member, postures: tuple[str, ...] = (), *, served: bool = False
    ) -> list[str]:
        """Return the node's own addresses among the prefixes, and each wider prefix that overlaps its subnet routes.

        With `served`, the addresses of the services that it serves count as its own.
        """
        if not prefixes or not self._directory.passes(one, postures):
            return []
        found: set[str] = set()
        spans = coalesce(prefixes)
        for address, place in zip(one.addresses, one.places, strict=True):
            if contains(spans, place):
                found.add(full_length(address))
        for service in self._directory.services.served_by(one.node.id) if served else ():
            here = zip(service.addresses, service.places, strict=True)
            found.update(full_length(address) for address, place in here if contains(spans, place))
        if one.subnet_spans:
            for target in prefixes:
                found.update(text for text in cidrs(target) if overlaps(one.subnet_spans, span(text)))
        return sorted(found)


def is_internet(alias: Alias, target: Span) -> bool:
    """Return whether a range of an ipset is reached through exit nodes."""
    return alias.internet and overlaps(INTERNET, target)
