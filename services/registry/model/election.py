"""Rules of primary routers: who can carry traffic, who goes first, who may replace whom. Pure; changes no node.

A role is kept while its holder can carry traffic, as in Headscale 0.29: each change of the primary breaks connections
that the former one forwards. Only an administrator's preference and, if configured, the time of `takeback` move it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.registry.model.node import Node
from services.registry.model.term import ElectionReason, PrimaryTerm
from services.registry.model.user import User
from services.shared.ids import NodeId
from services.shared.inventory import is_suspended

PREFERRED_WAIT = timedelta(minutes=1)
"""Time for which a preferred router that returns must be healthy, where `takeback` is never."""


@dataclass(frozen=True, slots=True)
class ElectionRules:
    """What elections depend on besides the nodes."""

    now: datetime
    takeback: timedelta | None
    """Time for which an older router must be healthy to replace the primary; None: it never does."""

    @property
    def wait(self) -> timedelta:
        """Time for which a router must be healthy before it may replace one that can carry traffic."""
        return PREFERRED_WAIT if self.takeback is None else self.takeback


def obstacle(node: Node, owner: User | None, now: datetime) -> ElectionReason | None:
    """Return what keeps a router from carrying traffic, as the reason of an election; None: nothing does."""
    if is_suspended(node.tags, owner):
        return ElectionReason.SUSPENDED
    if node.is_expired(now):
        return ElectionReason.KEY_EXPIRED
    return None if node.online else ElectionReason.OFFLINE


def rank(node: Node, route: str) -> tuple[bool, datetime, NodeId]:
    """Return the key by which the routers of a route are ordered: the preferred one first, then by age."""
    return route not in node.preferred_routes, node.created_at, node.id


def replaces(challenger: Node, holder: Node, route: str, rules: ElectionRules) -> ElectionReason | None:
    """Return why a router replaces a primary although both can carry traffic; None: it does not."""
    if (term := term_of(holder, route)) and term.reason is ElectionReason.STANDING_IN and term.former == challenger.id:
        return ElectionReason.IMPORTED
    if challenger.healthy_since is not None and challenger.healthy_since + rules.wait > rules.now:
        return None
    if rank(challenger, route) >= rank(holder, route):
        return None
    if route in challenger.preferred_routes:
        return ElectionReason.PREFERRED
    return None if rules.takeback is None else ElectionReason.TAKEBACK


def term_of(node: Node, route: str) -> PrimaryTerm | None:
    """Return the term in which a node is the primary of a route; None if it is not."""
    return next((term for term in node.primary_terms if route in term.routes), None)


def succession(holder: Node, route: str, obstacle: ElectionReason) -> tuple[ElectionReason, NodeId]:
    """Return reason and former primary for the term of a router that follows a holder which cannot carry traffic.

    An imported primary that never connected here is only stood in for.
    """
    term = term_of(holder, route)
    if term is not None and term.reason is ElectionReason.STANDING_IN:
        return term.reason, term.former
    waits = holder.last_seen is None or (term is not None and holder.last_seen < term.since)
    if term is not None and term.reason is ElectionReason.IMPORTED and obstacle is ElectionReason.OFFLINE and waits:
        return ElectionReason.STANDING_IN, holder.id
    return obstacle, holder.id


def with_term(node: Node, term: PrimaryTerm) -> Node:
    """Return a node that became the primary of the routes of a term."""
    kept = without_routes(node, term.routes)
    return replace(kept, primary_terms=(*kept.primary_terms, term))


def without_routes(node: Node, routes: Collection[str]) -> Node:
    """Return a node that is not the primary of these routes."""
    lost = frozenset(routes)
    terms = []
    for term in node.primary_terms:
        rest = tuple(route for route in term.routes if route not in lost)
        if rest:
            terms.append(term if len(rest) == len(term.routes) else replace(term, routes=rest))
    return replace(node, primary_terms=tuple(terms))


def with_imported_primaries(nodes: Iterable[Node], primaries: Mapping[str, NodeId], now: datetime) -> list[Node]:
    """Return nodes such that those who were primary in an imported installation stay primary.

    The one call for an import: `primaries` names the primary of each route by the id of its node here. A node that does
    not have the route both advertised and approved is passed over; the registry elects another at its next start or,
    when it runs, within seconds. Until a primary connects for the first time another router stands in for it.
    """
    held: dict[NodeId, list[str]] = {}
    for route, node_id in primaries.items():
        held.setdefault(node_id, []).append(route)
    found = []
    for node in nodes:
        effective = set(node.approved_routes).intersection(node.advertised_routes)
        routes = tuple(sorted(effective.intersection(held.get(node.id, ()))))
        found.append(with_term(node, PrimaryTerm(now, ElectionReason.IMPORTED, routes)) if routes else node)
    return found
