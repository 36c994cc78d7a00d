"""Who is attached: gateways, their sessions, and which sessions a node has."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from smartscale.map_streamer.v1 import map_streamer_pb2 as pb

from services.map_streamer.session import Gateway, Outbox, Session, Stage
from services.map_streamer.tailnet.metrics import Metrics

Audience = tuple[Gateway, int, bool, bool]
"""Gateway, class, old encoding, zstd: those who are told the same."""


class Roster:
    """The sessions of one tailnet."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._gateways: list[Gateway] = []
        self._sessions: dict[Session, None] = {}
        self._of_node: dict[int, tuple[Session, ...]] = {}
        self._audiences: dict[Audience, dict[int, Session]] = {}

    def attach(self, gateway_id: str, build: Callable[[Session], None], relieved: Callable[[Session], None]) -> Gateway:
        """A gateway came."""

        def build_one(session_id: int) -> None:
            session = gateway.sessions.get(session_id)
            if session is not None:
                build(session)

        def relieved_all() -> None:
            for session in list(gateway.sessions.values()):
                relieved(session)

        gateway = Gateway(gateway_id, Outbox(build_one, relieved_all))
        self._gateways.append(gateway)
        self._metrics.gateways.set(len(self._gateways))
        return gateway

    def detach(self, gateway: Gateway) -> None:
        """A gateway's stream is over: forget its sessions."""
        if gateway in self._gateways:
            self._gateways.remove(gateway)
        for task in gateway.opening.values():
            task.cancel()
        for session in list(gateway.sessions.values()):
            self.remove(session)
        gateway.outbox.close()
        self._metrics.gateways.set(len(self._gateways))

    def add(self, session: Session) -> None:
        """A session was accepted."""
        session.gateway.sessions[session.id] = session
        self._sessions[session] = None
        node_id = session.viewer.node_id
        self._of_node[node_id] = *self._of_node.get(node_id, ()), session
        self._metrics.sessions.set(len(self._sessions))

    def go_live(self, session: Session, class_: int) -> None:
        """The session was told all of the current view, in which its node has this class."""
        self._leave(session)
        session.stage = Stage.LIVE
        session.told = True
        viewer = session.viewer
        session.audience = session.gateway, class_, viewer.legacy, viewer.zstd
        self._audiences.setdefault(session.audience, {})[session.id] = session

    def hold(self, session: Session, rev: int) -> None:
        """Stop telling a live session; it knows the view with this number."""
        if session.stage is Stage.LIVE:
            self._leave(session)
            session.stage = Stage.HELD
            session.held = rev

    def wait(self, session: Session) -> None:
        """The session needs a full map."""
        self._leave(session)
        session.stage = Stage.WAITING

    def _leave(self, session: Session) -> None:
        if session.audience is None:
            return
        audience = self._audiences[session.audience]
        audience.pop(session.id, None)
        if not audience:
            del self._audiences[session.audience]
        session.audience = None

    def audiences(self) -> list[tuple[Audience, dict[int, Session]]]:
        """Live sessions, by those who are told the same and by id."""
        return list(self._audiences.items())

    def remove(self, session: Session) -> None:
        """Forget a session; says nothing to the gateway."""
        self._leave(session)
        session.gateway.sessions.pop(session.id, None)
        session.gateway.outbox.unwant(session.id)
        self._sessions.pop(session, None)
        node_id = session.viewer.node_id
        if others := tuple(other for other in self._of_node.get(node_id, ()) if other is not session):
            self._of_node[node_id] = others
        else:
            self._of_node.pop(node_id, None)
        self._metrics.sessions.set(len(self._sessions))

    def end(self, session: Session, reason: pb.EndReason.ValueType) -> None:
        """Forget a session and tell its gateway why."""
        self.remove(session)
        ended = pb.SessionEnded(session_id=session.id, reason=reason)
        session.gateway.outbox.put(pb.AttachResponse(ended=ended))

    def supersede(self, node_id: int, before: float = float("inf")) -> None:
        """End the streams of a node that were opened before a newer one of it."""
        for session in self.of_node(node_id):
            if not session.once and session.opened < before:
                self.end(session, pb.END_REASON_SUPERSEDED)

    def of_node(self, node_id: int) -> list[Session]:
        """The sessions of a node."""
        return list(self._of_node.get(node_id, ()))

    def all(self) -> list[Session]:
        """Every session."""
        return list(self._sessions)

    def gateways(self) -> Iterable[Gateway]:
        """Every attached gateway."""
        return tuple(self._gateways)

    def __len__(self) -> int:
        return len(self._sessions)
