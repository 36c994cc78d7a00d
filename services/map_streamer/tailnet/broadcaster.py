"""Brings sessions to the current view: whole audiences with one message, the others one by one.

A session that cannot be sent to at once lags: it keeps the number of its view and gets one merged delta in its turn.
Turns are taken in slices of 20 ms, so that a policy change with a different delta for everybody does not hold the event
loop, and later changes go into the same delta.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from smartscale.common.v1 import common_pb2
from smartscale.map_streamer.v1 import map_streamer_pb2 as pb

from services.map_streamer.diff import Difference
from services.map_streamer.render import Deltas, Renderer
from services.map_streamer.session import Gateway, Session, SessionStage
from services.map_streamer.snapshot import View
from services.map_streamer.tailnet.history import History
from services.map_streamer.tailnet.metrics import Metrics
from services.map_streamer.tailnet.roster import Audience, Roster
from services.shared.runtime.clock import Clock
from services.shared.telemetry import get_logger

log = get_logger(__name__)

SLICE = 0.020
"""Seconds of work after which the event loop gets its turn."""
_MAX_DELTA_PEERS = 64
"""Maximum number of changed peers sent as a delta, where they are half of all: a full map shares its frames."""

_Group = dict[tuple[int, Gateway], tuple[bytes, list[Session]]]


class Broadcaster:
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
        self.recipients = 0
        """Number of recipients of deltas since the start."""
        self.on_lag: Callable[[], object] = lambda: None
        """Called when a session that can be sent to begins to lag, so that `send_slice` is called soon."""

    @property
    def lagging(self) -> bool:
        """True if sessions that messages can be sent to are behind."""
        return bool(self._lagging)

    def broadcast(self, difference: Difference, touched: frozenset[int], traceparent: str) -> None:
        """Send a new view to all live sessions, or to as many as one slice allows."""
        self._deltas.clear()
        self._traceparent = traceparent
        self._end_stale(touched)
        if difference.empty:
            return
        old = difference.old
        deltas = Deltas(self._renderer, difference)
        self._deltas[old.rev, None] = difference, deltas
        alike = difference.alike
        apart = self._sessions_of_changed(difference) if alike else {}
        for audience, members in self._roster.audiences():
            if audience[0].outbox.congested:
                for session in list(members.values()):
                    self._roster.fall_behind(session, old.rev)
            elif alike:
                own = apart.get(audience, {})
                if difference.concerns(audience[1]):
                    self._send_to_rest(deltas, members, own)
                for session in own.values():
                    self._send_delta(deltas, session, [session.id])
            else:
                for session in list(members.values()):
                    self._roster.fall_behind(session, old.rev)
                    self._lagging.append(session)
        self.send_slice()

    def defer(self, difference: Difference) -> None:
        """Leave all live sessions behind a new view whose changes can wait."""
        self._deltas.clear()
        if difference.empty:
            return
        for (gateway, *_), members in self._roster.audiences():
            for session in list(members.values()):
                self._roster.fall_behind(session, difference.old.rev)
                if not gateway.outbox.congested:
                    self._lagging.append(session)

    def _sessions_of_changed(self, difference: Difference) -> dict[Audience, dict[int, Session]]:
        """Return live sessions of changed nodes by audience: each is sent the others, and perhaps its own record."""
        apart: dict[Audience, dict[int, Session]] = {}
        for node_id in difference.changes.keys() | difference.noticed:
            for session in self._roster.of_node(node_id):
                if session.audience is not None:
                    apart.setdefault(session.audience, {})[session.id] = session
        return apart

    def _send_to_rest(self, deltas: Deltas, members: dict[int, Session], apart: dict[int, Session]) -> None:
        rest = [session_id for session_id in members if session_id not in apart] if apart else list(members)
        if rest:
            self._send_delta(deltas, members[rest[0]], rest)

    def _send_delta(self, deltas: Deltas, one: Session, session_ids: list[int]) -> None:
        """Send sessions of one gateway the delta of `one` of them, unless it is empty."""
        message = deltas.message(one.viewer)
        if message is not None:
            self._send(one.gateway, session_ids, message)

    def send_slice(self) -> None:
        """Send deltas to lagging sessions for one slice."""
        end = time.perf_counter() + SLICE
        groups: _Group = {}
        while self._lagging and time.perf_counter() < end:
            session = self._lagging.popleft()
            if session.stage is SessionStage.BEHIND and session.ready and session.id in session.gateway.sessions:
                self._catch_up(session, groups)
        self._send_groups(groups)

    def catch_up(self, session: Session) -> None:
        """Send one session what it missed: a merged delta, or a full map when its view was dropped."""
        if not session.ready:
            return
        if session.stage is SessionStage.WAITING:
            session.gateway.outbox.request_full(session.id)
        elif session.stage is SessionStage.BEHIND:
            groups: _Group = {}
            self._catch_up(session, groups)
            self._send_groups(groups)

    def _catch_up(self, session: Session, groups: _Group) -> None:
        old = self._history.at(session.rev)
        if old is None:
            self._request_full(session)
        else:
            self._advance(session, old, None, groups)

    def on_relief(self, session: Session) -> None:
        """Give a session its turn when its gateway takes messages again."""
        if session.stage is SessionStage.WAITING:
            self.catch_up(session)
        elif session.stage is SessionStage.BEHIND:
            self._lagging.append(session)
            self.on_lag()

    def resume_from(self, session: Session, old: View, uncertain: frozenset[int] | None) -> None:
        """Bring a session that came from another replica from an old view to the current one."""
        groups: _Group = {}
        self._advance(session, old, uncertain, groups)
        self._send_groups(groups)

    def _advance(self, session: Session, old: View, uncertain: frozenset[int] | None, groups: _Group) -> None:
        view, node_id = self._history.current, session.viewer.node_id
        class_ = view.visibility.class_of(node_id)
        if old is view and uncertain is None:
            self._roster.go_live(session, class_)
            return
        known = self._deltas.get((old.rev, uncertain))
        if known is None:
            difference = Difference(old, view, uncertain=uncertain)
            known = self._deltas[old.rev, uncertain] = difference, Deltas(self._renderer, difference)
        difference, deltas = known
        whole = len(difference.peers(node_id).whole)
        if whole > _MAX_DELTA_PEERS and 2 * whole >= len(view.visibility.visible(class_)):
            self._request_full(session)
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
        self.recipients += len(session_ids)
        self._metrics.generated.labels("delta").inc()
        self._metrics.sent.labels("delta").inc(len(session_ids))

    def _cursor(self) -> common_pb2.Cursor:
        view = self._history.current
        return common_pb2.Cursor(registry=view.cursor.registry, policy=view.cursor.policy, time=view.time)

    def _request_full(self, session: Session) -> None:
        self._roster.wait(session)
        session.gateway.outbox.request_full(session.id)

    def _end_stale(self, touched: frozenset[int]) -> None:
        """End sessions whose node was removed or has another key."""
        nodes = self._history.current.snapshot.nodes
        for node_id in touched:
            for session in self._roster.of_node(node_id):
                node = nodes.get(node_id)
                if node is None:
                    self._roster.end(session, pb.END_REASON_NODE_REMOVED)
                elif node.node_key != session.node_key:
                    self._roster.end(session, pb.END_REASON_KEY_ROTATED)

    def build_full(self, session: Session) -> None:
        """Queue a session's full map of the current view."""
        started = time.perf_counter()
        try:
            self._build_full(session)
            self._metrics.full.observe(time.perf_counter() - started)
        except Exception:
            log.exception("full map failed", node_id=session.viewer.node_id)
            self._roster.end(session, pb.END_REASON_RESYNC)

    def _build_full(self, session: Session) -> None:
        if session.stage is not SessionStage.WAITING or session.paused:
            return
        view, node_id = self._history.current, session.viewer.node_id
        class_ = view.visibility.class_of(node_id)
        if session.sent_any and set(view.visibility.visible(class_)) <= {node_id}:
            # A Go client keeps its peers when the list of peers is absent or empty.
            self._roster.end(session, pb.END_REASON_RESYNC)
            return
        parts = self._renderer.full(session.viewer, self._clock.now(), again=session.sent_any)
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

    def resync_all(self) -> None:
        """Send every session a full map, because what they were sent is unknown."""
        self._lagging.clear()
        for session in self._roster.all():
            self._roster.wait(session)
            self.catch_up(session)
