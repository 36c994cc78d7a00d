"""Elects primary routers: `ledger` runs it after each write, in its transaction. The rules are in `model.election`.

Runs after each write on its facts: a change of a node that is no router costs one comparison. Routes of a router are
examined only if it gained or lost some, or can no longer carry traffic, or can again; all candidates of a route only
if its primary cannot carry traffic.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from services.registry.model.election import (
    ElectionRules,
    obstacle,
    rank,
    replaces,
    succession,
    with_term,
    without_routes,
)
from services.registry.model.errors import InvalidInputError, PreconditionError
from services.registry.model.node import Node
from services.registry.model.route import EXIT_ROUTES, read_routes, subnet_routes
from services.registry.model.state import State
from services.registry.model.term import NO_NODE, ElectionReason, PrimaryTerm
from services.registry.usecases.draft import MAX_FACTS, Draft
from services.registry.usecases.ledger import Ledger, LedgerObserver
from services.registry.usecases.router_changes import (
    RouterChange,
    router_changes,
    routers_of,
    routes_to_examine,
    was_healthy,
)
from services.shared.ids import NodeId
from services.shared.telemetry import get_logger

log = get_logger(__name__)

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_LOGGED = 10
"""Routes that a log entry names; it has the number of all."""


@dataclass(slots=True)
class _Outcome:
    """Elections of one write: routes by winner, reason and former primary."""

    won: defaultdict[tuple[NodeId, ElectionReason, NodeId], list[str]] = field(
        default_factory=lambda: defaultdict(list)
    )
    lost: defaultdict[NodeId, list[str]] = field(default_factory=lambda: defaultdict(list))


class Elections:
    """Elects the primary router of each route, and stores preferences of administrators."""

    def __init__(self, ledger: Ledger, takeback: timedelta | None, observer: LedgerObserver | None = None) -> None:
        self._ledger = ledger
        self._takeback = takeback
        self._observer = observer or LedgerObserver()
        self._examined = _LONG_AGO
        """Routers that were healthy long enough by this time have been examined by this process."""

    def follow(self, draft: Draft) -> None:
        """Elect where the facts of a write make it necessary."""
        changes = router_changes(draft)
        if not changes:
            return
        touched: defaultdict[str, list[NodeId]] = defaultdict(list)
        led: dict[str, RouterChange] = {}
        for node_id, change in changes.items():
            self._note_health(draft, change)
            for route in routes_to_examine(change):
                touched[route].append(node_id)
            if change.old is not None:
                led.update(dict.fromkeys(change.old.primary_routes, change))
        outcome = _Outcome()
        for route, node_ids in touched.items():
            self._decide(draft, outcome, route, node_ids, led.get(route))
        self._store(draft, outcome)

    def due(self, state: State) -> datetime | None:
        """Return when the next election is due because of time; a time that has passed: now."""
        if state.routers.unelected:
            return _LONG_AGO
        wait = self._rules(self._ledger.now()).wait
        times = (since + wait for node in routers_of(state) if (since := node.healthy_since) is not None)
        return min((time for time in times if time > self._examined), default=None)

    def act(self, draft: Draft) -> bool:
        """Elect what is due because of time; return whether some is left."""
        outcome = _Outcome()
        for route in _unelected(draft.state):
            self._decide(draft, outcome, route, draft.state.routers.candidates(route), None)
        self._store(draft, outcome)
        self._examine(draft)
        return bool(draft.state.routers.unelected)

    def _examine(self, draft: Draft) -> None:
        """Let routers that have been healthy long enough since the last call replace others."""
        rules = self._rules(draft.now)
        outcome = _Outcome()
        for node in routers_of(draft.state):
            since = node.healthy_since
            if since is None or not self._examined < since + rules.wait <= draft.now:
                continue
            for route in node.preferred_routes if rules.takeback is None else subnet_routes(node):
                self._decide(draft, outcome, route, (node.id,), None)
        self._store(draft, outcome)
        draft.after_commit.append(partial(setattr, self, "_examined", draft.now))

    async def prefer(self, node_id: NodeId, texts: list[str], *, undo: bool = False) -> Node:
        """Prefer a router for routes, which it takes over at once if it can carry traffic; or take that back.

        Without routes: all that it routes or, with `undo`, all that it is preferred for. A route has at most one
        preferred router: another one loses the preference.

        Raises:
            NotFoundError: there is no such node.
            InvalidInputError: a route is not a CIDR, or an exit route.
            PreconditionError: the node does not route one of them, or nothing.
        """
        routes = read_routes(texts)
        if set(routes) & set(EXIT_ROUTES):
            raise InvalidInputError("exit routes have no primary: every approved exit node serves them")

        async def write(draft: Draft) -> Node:
            node = draft.node(node_id)
            if undo:
                self._take_back(draft, node, routes)
            else:
                self._prefer(draft, node, routes)
            return draft.node(node_id)

        return await self._ledger.commit(write)

    def _prefer(self, draft: Draft, node: Node, routes: tuple[str, ...]) -> None:
        effective = subnet_routes(node)
        if not effective:
            raise PreconditionError(f"{node.given_name} has no approved subnet route that it advertises")
        if missing := sorted(set(routes) - effective):
            raise PreconditionError(
                f"{node.given_name} does not route {missing[0]}: it must advertise the route and have it approved"
            )
        wanted = routes or tuple(sorted(effective))
        for rival in [one for one in draft.state.nodes.values() if one.preferred_routes and one.id != node.id]:
            _set_preferred(draft, rival.id, set(rival.preferred_routes).difference(wanted))
        _set_preferred(draft, node.id, effective.intersection(node.preferred_routes).union(wanted))
        log.info("router preferred", node_id=node.id, routes=wanted[:_LOGGED], route_count=len(wanted))
        if _obstacle(draft, draft.node(node.id)) is not None:
            return
        outcome = _Outcome()
        for route in wanted:
            former = draft.state.routers.primary(route)
            if former != node.id:
                _elect(outcome, route, node.id, ElectionReason.PREFERRED, former)
        self._store(draft, outcome)

    def _take_back(self, draft: Draft, node: Node, routes: tuple[str, ...]) -> None:
        wanted = routes or node.preferred_routes
        _set_preferred(draft, node.id, set(node.preferred_routes) - set(wanted))
        log.info("router no longer preferred", node_id=node.id, routes=wanted[:_LOGGED], route_count=len(wanted))
        outcome = _Outcome()
        for route in wanted:
            self._decide(draft, outcome, route, draft.state.routers.candidates(route), None)
        self._store(draft, outcome)

    def _rules(self, now: datetime) -> ElectionRules:
        return ElectionRules(now, self._takeback)

    def _note_health(self, draft: Draft, change: RouterChange) -> None:
        node = change.new
        if node is None:
            return
        healthy = bool(subnet_routes(node)) and _obstacle(draft, node) is None
        if not healthy and node.healthy_since is not None:
            draft.put_node(replace(draft.node(node.id), healthy_since=None))
        elif healthy and not was_healthy(change):
            draft.put_node(replace(draft.node(node.id), healthy_since=draft.now))

    def _decide(
        self, draft: Draft, outcome: _Outcome, route: str, touched: Collection[NodeId], change: RouterChange | None
    ) -> None:
        """Elect the primary of a route, if it needs another one."""
        state = draft.state
        candidates, holder_id = state.routers.candidates(route), state.routers.primary(route)
        if not candidates:
            if holder_id is not None:
                outcome.lost[holder_id].append(route)
            return
        if holder_id not in candidates:
            reason = _reason_of_absence(change, route, holder_id)
            winner = _best(draft, candidates, route) or min((state.nodes[one] for one in candidates), key=_by(route))
            _elect(outcome, route, winner.id, reason, _former(change, route, holder_id))
            return
        holder = state.nodes[holder_id]
        hindered = _obstacle(draft, holder)
        if hindered is not None:
            best = _best(draft, candidates, route)
            if best is not None:
                reason, former = succession(holder, route, hindered)
                outcome.lost[holder.id].append(route)
                outcome.won[best.id, reason, former].append(route)
            return
        self._challenge(draft, outcome, route, holder, [one for one in touched if one in candidates])

    def _challenge(
        self, draft: Draft, outcome: _Outcome, route: str, holder: Node, touched: Collection[NodeId]
    ) -> None:
        """Let one of these candidates replace a primary that can carry traffic."""
        rules = self._rules(draft.now)
        for node in sorted((draft.state.nodes[one] for one in touched if one != holder.id), key=_by(route)):
            if _obstacle(draft, node) is None and (reason := replaces(node, holder, route, rules)) is not None:
                _elect(outcome, route, node.id, reason, holder.id)
                return

    def _store(self, draft: Draft, outcome: _Outcome) -> None:
        """Record elections as new terms: one for all routes that a node won by the same reason from the same node."""
        for node_id, routes in outcome.lost.items():
            if node_id in draft.state.nodes:
                draft.put_node(without_routes(draft.node(node_id), routes))
        for (node_id, reason, former), routes in outcome.won.items():
            term = PrimaryTerm(draft.now, reason, tuple(sorted(routes)), former)
            draft.put_node(with_term(draft.node(node_id), term))
            draft.after_commit.append(partial(self._note, node_id, term))

    def _note(self, node_id: NodeId, term: PrimaryTerm) -> None:
        log.info(
            "primary router elected",
            node_id=node_id,
            reason=term.reason.label,
            former_node_id=term.former,
            routes=term.routes[:_LOGGED],
            route_count=len(term.routes),
        )
        self._observer.elected(term.reason, len(term.routes))


def _unelected(state: State) -> set[str]:
    """Return about `MAX_FACTS` routes without a primary, router by router, so that few records change."""
    waiting, found = set(state.routers.unelected), set[str]()
    while waiting and len(found) < MAX_FACTS:
        first = state.routers.candidates(next(iter(waiting)))[0]
        routes = waiting & subnet_routes(state.nodes[first])
        found |= routes
        waiting -= routes
    return found


def _obstacle(draft: Draft, node: Node) -> ElectionReason | None:
    return obstacle(node, draft.state.users.get(node.user_id), draft.now)


def _by(route: str) -> partial[tuple[bool, datetime, NodeId]]:
    return partial(rank, route=route)


def _best(draft: Draft, candidates: Iterable[NodeId], route: str) -> Node | None:
    """Return the first of the candidates that can carry traffic."""
    able = (node for one in candidates if _obstacle(draft, node := draft.state.nodes[one]) is None)
    return min(able, key=_by(route), default=None)


def _reason_of_absence(change: RouterChange | None, route: str, holder_id: NodeId | None) -> ElectionReason:
    """Return why no candidate of a route is its primary."""
    if holder_id is not None:
        return ElectionReason.WITHDRAWN
    if change is None or change.old is None or route not in change.old.primary_routes:
        return ElectionReason.FIRST
    return ElectionReason.DELETED if change.new is None else ElectionReason.WITHDRAWN


def _former(change: RouterChange | None, route: str, holder_id: NodeId | None) -> NodeId | None:
    """Return the primary that a route had before a write that left it without one."""
    if holder_id is not None or change is None or change.old is None:
        return holder_id
    return change.old.id if route in change.old.primary_routes else None


def _elect(outcome: _Outcome, route: str, winner: NodeId, reason: ElectionReason, former: NodeId | None) -> None:
    outcome.won[winner, reason, former or NO_NODE].append(route)
    if former:
        outcome.lost[former].append(route)


def _set_preferred(draft: Draft, node_id: NodeId, routes: Iterable[str]) -> None:
    draft.put_node(replace(draft.node(node_id), preferred_routes=tuple(sorted(routes))))
