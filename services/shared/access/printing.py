"""Prints sources and destinations of grants as the string lists of filter rules; each list is made once."""

from __future__ import annotations

from collections.abc import Iterable

from services.shared.access.compiled import IDENTITY_KINDS, Alias, AliasKind, Grant
from services.shared.access.directory import Directory, Member
from services.shared.access.ranges import Spans, coalesce, show, span, subtract

Texts = tuple[str, ...]


class Printer:
    """Prints sources and destinations of grants for one snapshot."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._numbers: dict[Texts, int] = {}
        self._texts: list[list[str]] = []
        self._sources: dict[tuple[tuple[Alias, ...], tuple[str, ...], bool], int | None] = {}
        self._destinations: dict[tuple[Alias, ...], list[str]] = {}

    def intern(self, texts: Texts) -> int:
        """Return the number of a list; equal lists have equal numbers."""
        number = self._numbers.setdefault(texts, len(self._texts))
        if number == len(self._texts):
            self._texts.append(list(texts))
        return number

    def text(self, number: int) -> list[str]:
        """Return the list with this number. It is shared: do not change it."""
        return self._texts[number]

    def sources(self, grant: Grant, *, literal_others: bool = True) -> int | None:
        """Return the number of a grant's `SrcIPs`; None if nothing is a source.

        Beside a wildcard the addresses of other sources are listed although it covers them, except in via grants.
        """
        key = grant.source, grant.postures, literal_others
        if key not in self._sources:
            texts = self._print_sources(grant, literal_others)
            self._sources[key] = self.intern(texts) if texts else None
        return self._sources[key]

    def _print_sources(self, grant: Grant, literal_others: bool) -> Texts:
        kinds = {alias.kind for alias in grant.source}
        if AliasKind.DANGER_ALL in kinds and not grant.postures:
            return ("*",)
        wildcard = AliasKind.ANY in kinds
        others = [alias for alias in grant.source if alias.kind is not AliasKind.ANY]
        if grant.postures:
            return self._print_postured(grant)
        parts = [part for alias in others for part in self._directory.spans_of(alias, source=True)]
        if not wildcard:
            return tuple(sorted(show(part) for part in coalesce(parts)))
        texts = {show(part) for part in self._directory.tailnet}
        texts.update(self._directory.subnet_routes)
        if literal_others:
            texts.update(text for alias in others for text in self._individually(alias))
        else:
            outside = subtract(coalesce(parts), self._directory.tailnet)
            texts.update(show(part) for part in outside)
        return tuple(sorted(texts))

    def _individually(self, alias: Alias) -> Iterable[str]:
        if alias.kind in IDENTITY_KINDS:
            return (address for one in self._directory.members_of(alias) for address in one.addresses)
        return (show(part) for part in self._directory.spans_of(alias, source=True))

    def _print_postured(self, grant: Grant) -> Texts:
        """Return the sources of a rule with postures: nodes that pass, and literal addresses that are not nodes."""
        parts: list[tuple[int, int]] = []
        for alias in grant.source:
            spans = self._directory.spans_of(alias, source=True)
            if alias.kind in IDENTITY_KINDS:
                nodes: Iterable[Member] = self._directory.members_of(alias)
            else:
                nodes = list(self._directory.inside(spans))
                taken = self._directory.tailnet if alias.kind is AliasKind.ANY else ()
                foreign = subtract(spans, coalesce([*taken, *self._places(nodes)]))
                parts.extend(foreign)
            for one in nodes:
                if self._directory.passes(one, grant.postures):
                    parts.extend((place, place) for place in one.places if _inside(alias, spans, place))
        return tuple(sorted(show(part) for part in coalesce(parts)))

    @staticmethod
    def _places(nodes: Iterable[Member]) -> Iterable[tuple[int, int]]:
        return ((place, place) for one in nodes for place in one.places)

    def union(self, nodes: Iterable[Member]) -> Spans:
        """Return the addresses of some nodes."""
        return coalesce(self._places(nodes))

    def destinations(self, grant: Grant) -> list[str]:
        """Return the destinations of a grant as the sources of a companion rule."""
        key = grant.destination
        if key not in self._destinations:
            parts = [
                part
                for alias in key
                if alias.kind not in (AliasKind.SELF, AliasKind.SHARED)
                for part in self._directory.spans_of(alias, source=False)
            ]
            texts = {show(part) for part in coalesce(parts)}
            if any(alias.kind is AliasKind.ANY for alias in key):
                texts.update(str(route) for route in self._directory.subnet_routes if span(route))
            self._destinations[key] = sorted(texts)
        return self._destinations[key]


def _inside(alias: Alias, spans: Spans, place: int) -> bool:
    """Return the node's addresses that an alias selects: an identity both, a literal only those in its ranges."""
    return alias.kind in IDENTITY_KINDS or any(first <= place <= last for first, last in spans)
