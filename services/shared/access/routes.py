"""Routes of a peer as each viewer is sent them: `election` of the router, services, and steering by `via` grants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from services.shared.access.compiled import AliasKind, Grant
from services.shared.access.directory import Directory, Member
from services.shared.access.election import order_by_election, seniority
from services.shared.access.filters import COMPANIONS
from services.shared.access.inputs import AccessNode
from services.shared.access.matching import Masks, Matching
from services.shared.access.ranges import full_length, overlap, span


class RouteViews:
    """Primary routers of one snapshot, and the routes and services of a peer for each viewer."""

    def __init__(self, directory: Directory, matching: Matching, grants: Sequence[Grant]) -> None:
        self._directory = directory
        self._matching = matching
        self._grants = grants
        self._servers: dict[str, list[Member]] = defaultdict(list)
        for router in directory.routers:
            for route in router.subnets:
                self._servers[route].append(router)
        order_by_election(self._servers, _node_of)
        self._reversed = sum(1 << number for number, grant in enumerate(grants) if _names_routes_back(grant))
        self._via = [(number, grant) for number, grant in enumerate(grants) if grant.via]
        self._elected = {
            name: min((directory.members[node_id] for node_id in hosts), key=_of_member)
            for name, hosts in directory.services.hosts.items()
            if hosts
        }

    def is_primary(self, one: Member, route: str) -> bool:
        """Return whether a router is the one that serves a prefix."""
        return self._servers[route][0] is one

    def primaries(self, one: Member) -> tuple[str, ...]:
        """Return the subnet routes that a node is elected to serve."""
        return tuple(route for route in one.subnets if self.is_primary(one, route))

    def shown(self, viewer: Member, masks: Masks, peer: Member) -> tuple[str, ...]:
        """Return the routes of a peer that a viewer is sent, subnet routes first."""
        include, exclude = self._steered(masks, peer) if self._via else (set(), set())
        shown = []
        for route in peer.subnets:
            if route in include or (
                route not in exclude
                and self.is_primary(peer, route)
                and (route in viewer.subnets or self._accessible(viewer, masks, route))
            ):
                shown.append(route)
        for route in peer.exits:
            if route in include or (route not in exclude and masks.source_address & self._matching.exits):
                shown.append(route)
        return tuple(shown)

    def served(self, viewer: Member, masks: Masks, peer: Member) -> tuple[str, ...]:
        """Return the addresses of services that a viewer reaches through a peer; of several hosts the elected one.

        A host of a service uses itself and is sent no other host for it.
        """
        services = self._directory.services
        own = services.served_by(viewer.node.id)
        return tuple(
            full_length(address)
            for one in services.served_by(peer.node.id)
            if self._elected[one.name] is peer and one not in own
            for address, place in zip(one.addresses, one.places, strict=True)
            if masks.source & self._matching.destination_segments.at(place)
        )

    def _accessible(self, viewer: Member, masks: Masks, route: str) -> bool:
        """Return whether a rule lets the viewer reach the route, or the route the viewer."""
        source, destination = self._matching.over_route((span(route),))
        ordinary = ~self._matching.via
        if masks.source & destination & ordinary or masks.destination & source & ordinary:
            return True
        # A companion rule runs back from `*`, which names the subnet routes, to the sources.
        return bool(self._reversed & (masks.source | (source if viewer.subnets else 0)))

    def _steered(self, masks: Masks, peer: Member) -> tuple[set[str], set[str]]:
        """Return the routes that via grants add to, and remove from, those that the viewer is sent for a peer."""
        include: set[str] = set()
        exclude: set[str] = set()
        for number, grant in self._via:
            if not masks.source >> number & 1:
                continue
            affected = self._affected(peer, grant)
            if not affected:
                continue
            if set(grant.via).isdisjoint(peer.identity[1]):
                exclude |= affected
                continue
            for route in affected:
                (include if self._first_of(grant, peer, route) else exclude).add(route)
        if include or exclude:
            self._yield_to_ordinary(masks, peer, include, exclude)
        return include, exclude - include

    def _affected(self, peer: Member, grant: Grant) -> set[str]:
        affected: set[str] = set()
        for alias in grant.destination:
            if alias.kind is AliasKind.INTERNET or alias.internet:
                affected.update(peer.exits)
            if alias.kind is AliasKind.PREFIXES:
                spans = self._directory.spans_of(alias, source=False)
                affected.update(route for route in peer.subnets if overlap(spans, (span(route),)))
        return affected

    def _first_of(self, grant: Grant, peer: Member, route: str) -> bool:
        """Return whether a router is the first of its via group for a prefix: the primary, else by age."""
        if route not in self._servers:
            return True
        tags = set(grant.via)
        return next(one for one in self._servers[route] if not tags.isdisjoint(one.identity[1])) is peer

    def _yield_to_ordinary(self, masks: Masks, peer: Member, include: set[str], exclude: set[str]) -> None:
        """Drop steering where a grant without via reaches the same destination: the primary router serves it then."""
        ordinary = masks.source & ~self._matching.via
        for route in include | exclude:
            if route in peer.exits:
                reached = ordinary & self._matching.exits
            else:
                reached = ordinary & self._matching.over_route((span(route),))[1]
            if not reached:
                continue
            exclude.discard(route)
            if route in include and route in peer.subnets and not self.is_primary(peer, route):
                include.discard(route)


def _names_routes_back(grant: Grant) -> bool:
    """Return whether the grant has companion rules with `*` as sources."""
    to_anyone = not grant.via and any(alias.kind is AliasKind.ANY for alias in grant.destination)
    return to_anyone and any(capability.name in COMPANIONS for capability in grant.app)


def _node_of(one: Member) -> AccessNode:
    return one.node


def _of_member(one: Member) -> tuple[bool, int, int]:
    return seniority(one.node)
