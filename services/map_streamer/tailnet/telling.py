"""Brings sessions to the current view: whole audiences at once where they hear the same, the others one by one.

Whoever cannot be told at once lags: it holds the number of the view that it knows, and is told one merged delta when
its turn comes. Turns are taken in slices, so a policy change that everybody must hear of differently does not stop
the loop, and what changes meanwhile goes into the same delta.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from smartscale.common.v1 import common_pb2
from smartscale.map_streamer.v1 import map_streamer_pb2 as pb

from services.map_streamer.diff import Difference
from services.map_streamer.render import Deltas, Renderer
from services.map_streamer.session import Gateway, Session, Stage
from services.map_streamer.snapshot import View
from services.map_streamer.tailnet.history import History
from services.map_streamer.tailnet.metrics import Metrics
from services.map_streamer.tailnet.roster import Audience, Roster
from services.shared.runtime.clock import Clock
from services.shared.telemetry import get_logger

log = get_logger(__name__)

SLICE = 0.020
"""Seconds of telling after which the loop gets its turn."""
_FULL_FROM = 64
"""From so many whole peers, and half of all, a full map is cheaper than a delta: its frames are shared."""

_Group = dict[tuple[int, Gateway], tuple[bytes, list[Session]]]


class Teller:
    """Sends full maps and deltas to the sessions of a roster."""

    def __init__(self, roster: Roster, history: History, renderer: Renderer, clock: Clock, metrics: Metrics) -> None:
        self._roster = roster
        self._history = history
        self._renderer = renderer
        self._clock = clock
        self._metrics = metrics
        self._lagging: deque[Session] = deque()
        self._deltas: dict[tuple[int, frozenset[int] | None], tuple[Difference, Deltas]] = {}
        self._traceparent = ""
        self.told = 0
        """Recipients of deltas so far."""
        self.lags: Callable[[], object] = lambda: None
        """Called when somebody begins to lag who can be told, so that `take_slice` is called soon."""

    @property
    def lagging(self) -> bool:
        """Whether some who could be told were not yet."""
        return bool(self._lagging)

    def tell_all(self, difference: Difference, touched: frozenset[int], traceparent: str) -> None:
        """A new view is current: tell all live sessions, or as many as one slice allows."""
        self._deltas.clear()
        self._traceparent = traceparent
        self._end_stale(touched)
        if difference.empty:
            return
        old = difference.old
        deltas = Deltas(self._renderer, difference)
        self._deltas[old.rev, None] = difference, deltas
        alike = difference.alike
        apart = self._changed_themselves(difference) if alike else {}
        for audience, members in self._roster.audiences():
            if audience[0].outbox.congested:
                for session in list(members.values()):
                    self._roster.hold(session, old.rev)
            elif alike:
                own = apart.get(audience, {})
                if difference.concerns(audience[1]):
                    self._tell_the_rest(deltas, members, own)
                for session in own.values():
                    self._tell(deltas, session, [session.id])
            else:
                for session in list(members.values()):
                    self._roster.hold(session, old.rev)
                    self._lagging.append(session)
        self.take_slice()

    def tell_later(self, difference: Difference) -> None:
        """A new view is current, but what is new in it can wait: all live sessions stay with what they know."""
        self._deltas.clear()
        if difference.empty:
            return
        for (gateway, *_), members in self._roster.audiences():
            for session in list(members.values()):
                self._roster.hold(session, difference.old.rev)
                if not gateway.outbox.congested:
                    self._lagging.append(session)

    def _changed_themselves(self, difference: Difference) -> dict[Audience, dict[int, Session]]:
        """Live sessions of nodes that changed: each hears of the others, and perhaps of itself."""
        apart: dict[Audience, dict[int, Session]] = {}
        for node_id in difference.changes:
            for session in self._roster.of_node(node_id):
                if session.audience is not None:
                    apart.setdefault(session.audience, {})[session.id] = session
        return apart

    def _tell_the_rest(self, deltas: Deltas, members: dict[int, Session], apart: dict[int, Session]) -> None:
        rest = [session_id for session_id in members if session_id not in apart] if apart else list(members)
        if rest:
            self._tell(deltas, members[rest[0]], rest)

    def _tell(self, deltas: Deltas, one: Session, session_ids: list[int]) -> None:
        """Send sessions of one gateway what this one of them must hear, if anything."""
        message = deltas.message(one.viewer)
        if message is not None:
            self._send(one.gateway, session_ids, message)

    def take_slice(self) -> None:
        """Tell some of those who lag."""
        end = time.perf_counter() + SLICE
        groups: _Group = {}
        while self._lagging and time.perf_counter() < end:
            session = self._lagging.popleft()
            if session.stage is Stage.HELD and session.ready and session.id in session.gateway.sessions:
                self._bring_up(session, groups)
        self._send_groups(groups)

    def bring_up(self, session: Session) -> None:
        """Tell one session what it missed: a merged delta, or a full map when too much is forgotten."""
        if not session.ready:
            return
        if session.stage is Stage.WAITING:
            session.gateway.outbox.want_full(session.id)
        elif session.stage is Stage.HELD:
            groups: _Group = {}
            self._bring_up(session, groups)
            self._send_groups(groups)

    def _bring_up(self, session: Session, groups: _Group) -> None:
        old = self._history.at(session.held)
        if old is None:
            self._want_full(session)
        else:
            self._advance(session, old, None, groups)

    def relieved(self, session: Session) -> None:
        """The session's gateway takes messages again: it gets its turn."""
        if session.stage is Stage.WAITING:
            self.bring_up(session)
        elif session.stage is Stage.HELD:
            self._lagging.append(session)
            self.lags()

    def tell_from(self, session: Session, old: View, doubt: frozenset[int] | None) -> None:
        """Bring a session that came from elsewhere from an old view to the current one."""
        groups: _Group = {}
        self._advance(session, old, doubt, groups)
        self._send_groups(groups)

    def _advance(self, session: Session, old: View, doubt: frozenset[int] | None, groups: _Group) -> None:
        view, node_id = self._history.current, session.viewer.node_id
        class_ = view.sight.class_of(node_id)
        if old is view and doubt is None:
            self._roster.go_live(session, class_)
            return
        known = self._deltas.get((old.rev, doubt))
        if known is None:
            difference = Difference(old, view, doubt=doubt)
            known = self._deltas[old.rev, doubt] = difference, Deltas(self._renderer, difference)
        difference, deltas = known
        whole = len(difference.peers(node_id).whole)
        if whole > _FULL_FROM and 2 * whole >= len(view.sight.visible(class_)):
            self._want_full(session)
            return
        message = deltas.message(session.viewer)
        self._roster.go_live(session, class_)
        if message is not None:
            groups.setdefault((id(message), session.gateway), (message, []))[1].append(session)

    def _send_groups(self, groups: _Group) -> None:
        for (_, gateway), (message, sessions) in groups.items():
            self._send(gateway, [session.id for session in sessions], message)

    def _send(self, gateway: Gateway, session_ids: list[int], message: bytes) -> None:
        delta = pb.Delta(session_ids=session_ids, data=message, cursor=self._cursor(), traceparent=self._traceparent)
        gateway.outbox.put(pb.AttachResponse(delta=delta))
        self.told += len(session_ids)
        self._metrics.generated.labels("delta").inc()
        self._metrics.sent.labels("delta").inc(len(session_ids))

    def _cursor(self) -> common_pb2.Cursor:
        view = self._history.current
        return common_pb2.Cursor(registry=view.cursor.registry, policy=view.cursor.policy, time=view.time)

    def _want_full(self, session: Session) -> None:
        self._roster.wait(session)
        session.gateway.outbox.want_full(session.id)

    def _end_stale(self, touched: frozenset[int]) -> None:
        """End sessions whose node is gone or has another key."""
        nodes = self._history.current.snapshot.nodes
        for node_id in touched:
            for session in self._roster.of_node(node_id):
                node = nodes.get(node_id)
                if node is None:
                    self._roster.end(session, pb.END_REASON_NODE_REMOVED)
                elif node.node_key != session.node_key:
                    self._roster.end(session, pb.END_REASON_KEY_ROTATED)

    def build_full(self, session: Session) -> None:
        """Queue a session's full map of the current view; its turn has come."""
        started = time.perf_counter()
        try:
            self._build_full(session)
            self._metrics.full.observe(time.perf_counter() - started)
        except Exception:
            log.exception("full map failed", node_id=session.viewer.node_id)
            self._roster.end(session, pb.END_REASON_RESYNC)

    def _build_full(self, session: Session) -> None:
        if session.stage is not Stage.WAITING or session.paused:
            return
        view, node_id = self._history.current, session.viewer.node_id
        class_ = view.sight.class_of(node_id)
        if session.told and set(view.sight.visible(class_)) <= {node_id}:
            # An absent or empty list of peers leaves a Go client with those it had.
            self._roster.end(session, pb.END_REASON_RESYNC)
            return
        parts = self._renderer.full(session.viewer, self._clock.now())
        self._roster.go_live(session, class_)
        session.gateway.outbox.put_full(session.id, parts, self._cursor(), whole=session.whole)
        retired = self._renderer.cache.take_retired()
        if retired:
            for gateway in self._roster.gateways():
                gateway.outbox.retire(retired)
        self._metrics.generated.labels("full").inc()
        self._metrics.sent.labels("full").inc()
        if session.once:
            self._roster.end(session, pb.END_REASON_DONE)

    def start_over(self) -> None:
        """Nothing is known for sure: every session gets a full map."""
        self._lagging.clear()
        for session in self._roster.all():
            self._roster.wait(session)
            self.bring_up(session)
