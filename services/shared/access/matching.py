"""Matches nodes to grants: for each node, bit masks of the grants of which it is a source or a destination.

Bit `i` of a mask stands for grant `i`. Names cost one step per identity they select; literal addresses are cut into
segments once, so that a node finds its masks with two bisections.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.shared.access.compiled import Alias, AliasKind, Grant
from services.shared.access.directory import Directory, Identity, Member
from services.shared.access.ranges import ALL_V4, ALL_V6, EVERYTHING, INTERNET, Spans, coalesce, covers, overlap

_LITERAL_KINDS = (
    AliasKind.ANY,
    AliasKind.PREFIXES,
    AliasKind.DANGER_ALL,
    AliasKind.INTERNET,
    AliasKind.SERVICE,
)
"""Aliases that select addresses, whichever node has them."""


@dataclass(frozen=True, slots=True)
class Masks:
    """The grants of one node, as bit masks."""

    source: int
    """Its address, or one of its subnet routes, is a source."""
    source_address: int
    """Its address is a source."""
    destination: int
    """Its address, subnet route or service is a destination, it is an exit node for one, or `via` steers to it."""


class Segments:
    """Sets of literal addresses with a mask each: the number line of `ranges`, cut into pieces of equal masks."""

    def __init__(self, sets: Iterable[tuple[Spans, int]]) -> None:
        starts: dict[int, list[int]] = defaultdict(list)
        stops: dict[int, list[int]] = defaultdict(list)
        self._entries = [(spans, mask) for spans, mask in sets if spans and mask]
        for number, (spans, _) in enumerate(self._entries):
            for first, last in spans:
                starts[first].append(number)
                stops[last + 1].append(number)
        self._edges = sorted({*starts, *stops})
        self._masks: list[int] = []
        active: dict[int, int] = defaultdict(int)
        for edge in self._edges:
            for number in stops.get(edge, ()):
                active[number] -= 1
                if not active[number]:
                    del active[number]
            for number in starts.get(edge, ()):
                active[number] += 1
            mask = 0
            for number in active:
                mask |= self._entries[number][1]
            self._masks.append(mask)

    def same(self, other: Segments) -> bool:
        """Return whether both give every address the same mask."""
        return self._edges == other._edges and self._masks == other._masks

    def index(self, place: int) -> int:
        """Return the piece that contains an address; addresses of one piece match the same sets."""
        return bisect_right(self._edges, place) - 1

    def at(self, place: int) -> int:
        """Return the mask at an address."""
        index = bisect_right(self._edges, place) - 1
        return self._masks[index] if index >= 0 else 0

    def over(self, spans: Spans) -> int:
        """Return the union of the masks of all sets that overlap these spans."""
        mask = 0
        for first, last in spans:
            start = max(bisect_right(self._edges, first) - 1, 0)
            for index in range(start, len(self._edges)):
                if self._edges[index] > last:
                    break
                end = self._edges[index + 1] if index + 1 < len(self._edges) else 0
                if end > first:
                    mask |= self._masks[index]
        return mask


def by_alias(lists: Iterable[Sequence[Alias]]) -> dict[Alias, int]:
    """Return for each alias the mask of the lists that contain it.

    Lists are hashable; equal ones are traversed once: a rule of 4,000 sources and as many destinations is 4,000 grants
    with the same list of sources.
    """
    by_list: dict[Sequence[Alias], int] = defaultdict(int)
    for number, aliases in enumerate(lists):
        by_list[aliases] |= 1 << number
    masks: dict[Alias, int] = defaultdict(int)
    for aliases, mask in by_list.items():
        for alias in aliases:
            masks[alias] |= mask
    return masks


class Matching:
    """Masks of every node, for one list of grants."""

    def __init__(self, directory: Directory, grants: Sequence[Grant]) -> None:
        self._directory = directory
        self._grants = grants
        self._serving = directory.services.by_node
        self._all = (1 << len(grants)) - 1
        self._sources = by_alias(grant.source for grant in grants)
        self._destinations = by_alias(() if grant.via else grant.destination for grant in grants)
        self.via = sum(1 << number for number, grant in enumerate(grants) if grant.via)
        to_self = (n for n, g in enumerate(grants) if any(a.kind is AliasKind.SELF for a in g.destination))
        self.self = sum(1 << number for number in to_self) & ~self.via
        app_only = sum(1 << n for n, g in enumerate(grants) if not g.network)
        self.source_identities = self._spread(self._sources)
        self.destination_identities = self._spread(self._destinations)
        self.source_segments = Segments(self._literals(self._sources, source=True))
        self.destination_segments = Segments(
            [
                *self._literals({a: m & app_only for a, m in self._destinations.items()}, source=False),
                *self._literals({a: m & ~app_only for a, m in self._destinations.items()}, source=False, wide=True),
            ]
        )
        self.exits = self._exit_mask(app_only)
        self._posture_masks: dict[tuple[tuple[str, str], ...], int] = {}
        self._with_postures = [(1 << n, grant.postures) for n, grant in enumerate(grants) if grant.postures]
        self._over_routes: dict[Spans, tuple[int, int]] = {}

    def same_for(self, previous: Matching) -> bool:
        """Return whether an unchanged node without routes has the same masks as in `previous`."""
        return (
            self._grants is previous._grants
            and not self._with_postures
            and self.source_identities == previous.source_identities
            and self.destination_identities == previous.destination_identities
            and self.source_segments.same(previous.source_segments)
            and self.destination_segments.same(previous.destination_segments)
            and self._serving == previous._serving
        )

    def _spread(self, aliases: dict[Alias, int]) -> dict[Identity, int]:
        found: dict[Identity, int] = defaultdict(int)
        for alias, mask in aliases.items():
            for identity in self._directory.identities_of(alias):
                found[identity] |= mask
        return found

    def _literals(self, aliases: dict[Alias, int], *, source: bool, wide: bool = False) -> list[tuple[Spans, int]]:
        found = []
        for alias, mask in aliases.items():
            if wide and alias.kind is AliasKind.ANY:
                found.append((EVERYTHING, mask))
            elif alias.kind in _LITERAL_KINDS:
                found.append((self._directory.spans_of(alias, source=source), mask))
        return found

    def _exit_mask(self, app_only: int) -> int:
        """Return the grants to the internet, to an ipset made of it, or to all of one address family."""
        mask = 0
        for number, grant in enumerate(self._grants):
            bit = 1 << number
            if grant.via:
                continue
            if any(alias.internet for alias in grant.destination):
                mask |= bit
            literals = self._literals(dict.fromkeys(grant.destination, bit), source=False, wide=not app_only & bit)
            if not literals:
                continue
            spans = coalesce(one for found, _ in literals for one in found)
            if covers(spans, INTERNET) or covers(spans, [ALL_V4]) or covers(spans, [ALL_V6]):
                mask |= bit
        return mask

    def postures_met(self, one: Member) -> int:
        """Return the grants with postures that the node meets, including grants without postures."""
        if not self._with_postures:
            return self._all
        found = self._posture_masks.get(one.node.attributes)
        if found is None:
            found = self._all
            for bit, postures in self._with_postures:
                if not self._directory.passes(one, postures):
                    found &= ~bit
            self._posture_masks[one.node.attributes] = found
        return found

    def _source_address(self, one: Member) -> int:
        mask = self.source_identities.get(one.identity, 0)
        for place in one.places:
            mask |= self.source_segments.at(place)
        return mask & self.postures_met(one)

    def _destination_address(self, one: Member) -> int:
        mask = self.destination_identities.get(one.identity, 0)
        for place in one.places:
            mask |= self.destination_segments.at(place)
        if self._serving:
            for served in self._serving.get(one.node.id, ()):
                for place in served.places:
                    mask |= self.destination_segments.at(place)
        return mask

    def over_route(self, spans: Spans) -> tuple[int, int]:
        """Return the grants with sources, and those with destinations, that overlap these routes."""
        found = self._over_routes.get(spans)
        if found is None:
            source = self.source_segments.over(spans)
            destination = self.destination_segments.over(spans)
            for one in self._directory.inside(spans):
                source |= self._source_address(one)
                destination |= self.destination_identities.get(one.identity, 0)
            found = self._over_routes[spans] = source, destination
        return found

    def steered(self, one: Member) -> int:
        """Return the via grants that route through this node: it has one of their tags and serves a destination."""
        mask = 0
        if self.via and one.identity[1] and (one.subnets or one.exits):
            for number, grant in enumerate(self._grants):
                if grant.via and not set(grant.via).isdisjoint(one.identity[1]) and self.serves(one, grant):
                    mask |= 1 << number
        return mask

    def serves(self, one: Member, grant: Grant) -> bool:
        """Return whether a node's effective routes overlap a destination of the grant."""
        for alias in grant.destination:
            if one.exits and (alias.kind is AliasKind.INTERNET or alias.internet):
                return True
            if alias.kind is AliasKind.PREFIXES and overlap(
                self._directory.spans_of(alias, source=False), one.subnet_spans
            ):
                return True
        return False

    def masks_of(self, one: Member) -> Masks:
        """Return the masks of one node."""
        source_address = self._source_address(one)
        source, destination = source_address, self._destination_address(one)
        if one.subnets or one.exits:
            if one.subnets:
                by_source, by_destination = self.over_route(one.subnet_spans)
                source |= by_source
                destination |= by_destination
            if one.exits:
                destination |= self.exits
            destination |= self.steered(one)
        return Masks(source, source_address, destination)
