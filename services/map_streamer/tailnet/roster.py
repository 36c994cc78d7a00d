"""The attached gateways and their map sessions, by node and by audience. Decides nothing about what is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from smartscale.map_streamer.v1 import map_streamer_pb2 as pb

from services.map_streamer.render import Encoding
from services.map_streamer.session import Gateway, GatewayOutbox, Session, SessionStage
from services.map_streamer.tailnet.metrics import Metrics

Audience = tuple[Gateway, int, Encoding]
"""Gateway, class, encoding: sessions that are sent the same bytes."""


class Roster:
    """The sessions of one tailnet."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._gateways: list[Gateway] = []
        self._sessions: dict[Session, None] = {}
        self._of_node: dict[int, tuple[Session, ...]] = {}
        self._audiences: dict[Audience, dict[int, Session]] = {}

    def attach(self, gateway_id: str, build: Callable[[Session], None], relieved: Callable[[Session], None]) -> Gateway:
        """Add a gateway; `build` queues a full map, `relieved` continues a session after congestion."""

        def build_one(session_id: int) -> None:
            session = gateway.sessions.get(session_id)
            if session is not None:
                build(session)

        def relieved_all() -> None:
            for session in list(gateway.sessions.values()):
                relieved(session)

        gateway = Gateway(gateway_id, GatewayOutbox(build_one, relieved_all))
        self._gateways.append(gateway)
        self._metrics.gateways.set(len(self._gateways))
        return gateway

    def detach(self, gateway: Gateway) -> None:
        """Remove a gateway whose stream has ended, and its sessions."""
        if gateway in self._gateways:
            self._gateways.remove(gateway)
        for task in gateway.opening.values():
            task.cancel()
        for session in list(gateway.sessions.values()):
            self.remove(session)
        gateway.outbox.close()
        self._metrics.gateways.set(len(self._gateways))

    def add(self, session: Session) -> None:
        """Add an accepted session."""
        session.gateway.sessions[session.id] = session
        self._sessions[session] = None
        node_id = session.viewer.node_id
        self._of_node[node_id] = *self._of_node.get(node_id, ()), session
        self._metrics.sessions.set(len(self._sessions))

    def go_live(self, session: Session, class_: int) -> None:
        """Mark a session as up to date with the current view, in which its node has class `class_`."""
        self._leave(session)
        session.stage = SessionStage.LIVE
        session.sent_any = True
        session.audience = session.gateway, class_, session.viewer.encoding
        self._audiences.setdefault(session.audience, {})[session.id] = session

    def fall_behind(self, session: Session, rev: int) -> None:
        """Mark a live session as behind, at view `rev`."""
        if session.stage is SessionStage.LIVE:
            self._leave(session)
            session.stage = SessionStage.BEHIND
            session.rev = rev

    def wait(self, session: Session) -> None:
        """Mark a session as waiting for a full map."""
        self._leave(session)
        session.stage = SessionStage.WAITING

    def _leave(self, session: Session) -> None:
        if session.audience is None:
            return
        audience = self._audiences[session.audience]
        audience.pop(session.id, None)
        if not audience:
            del self._audiences[session.audience]
        session.audience = None

    def audiences(self) -> list[tuple[Audience, dict[int, Session]]]:
        """Return the live sessions by audience and id."""
        return list(self._audiences.items())

    def remove(self, session: Session) -> None:
        """Remove a session without a message to its gateway."""
        self._leave(session)
        session.gateway.sessions.pop(session.id, None)
        session.gateway.outbox.cancel_full(session.id)
        self._sessions.pop(session, None)
        node_id = session.viewer.node_id
        if others := tuple(other for other in self._of_node.get(node_id, ()) if other is not session):
            self._of_node[node_id] = others
        else:
            self._of_node.pop(node_id, None)
        self._metrics.sessions.set(len(self._sessions))

    def end(self, session: Session, reason: pb.EndReason.ValueType) -> None:
        """Remove a session and send its gateway the reason."""
        self.remove(session)
        ended = pb.SessionEnded(session_id=session.id, reason=reason)
        session.gateway.outbox.put(pb.AttachResponse(ended=ended))

    def supersede(self, node_id: int, before: float = float("inf")) -> None:
        """End the streams of a node that were opened before `before`, because a newer one replaces them."""
        for session in self.of_node(node_id):
            if not session.once and session.opened < before:
                self.end(session, pb.END_REASON_SUPERSEDED)

    def of_node(self, node_id: int) -> list[Session]:
        """Return the sessions of a node."""
        return list(self._of_node.get(node_id, ()))

    def all(self) -> list[Session]:
        """Return every session."""
        return list(self._sessions)

    def gateways(self) -> Iterable[Gateway]:
        """Return every attached gateway."""
        return tuple(self._gateways)

    def __len__(self) -> int:
        return len(self._sessions)
