"""Opens map sessions: finds the node, checks whose it is, and decides between a delta, nothing and a full map."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc.aio
from smartscale.map_streamer.v1 import map_streamer_pb2 as pb

from services.map_streamer.render import Viewer
from services.map_streamer.session import Gateway, Session
from services.map_streamer.snapshot import Cursor, NodeRecord
from services.map_streamer.tailnet.metrics import Metrics
from services.map_streamer.tailnet.tailnet import Tailnet
from services.shared.runtime.clock import Clock
from services.shared.telemetry import get_logger

log = get_logger(__name__)

READY_DEADLINE = 10.0
LOOKUP_DEADLINE = 2.0
MAX_OPENING = 4096
"""Sessions of one gateway whose node is being looked up; one more is refused as overload."""


def _tell_nobody(node_id: int, when: float) -> None:
    """There is no other replica."""


class Admission:
    """Lets sessions into a tailnet."""

    def __init__(self, tailnet: Tailnet, clock: Clock, metrics: Metrics) -> None:
        self._tailnet = tailnet
        self._clock = clock
        self._metrics = metrics
        self.opened: Callable[[int, float], None] = _tell_nobody
        """Told of each new stream: the node and when; set by the one who knows other replicas."""

    def open(self, gateway: Gateway, asked: pb.SessionOpened) -> None:
        """Open a session now, or once its node was looked up."""
        if asked.session_id in gateway.sessions or asked.session_id in gateway.opening:
            log.warning("session opened twice by its gateway", session_id=asked.session_id)
            self.close(gateway, asked.session_id)
        if self._tailnet.ready.is_set():
            node = self._find(asked)
            if node is not None and not self._behind(asked):
                self._admit(gateway, asked, node)
                return
        if len(gateway.opening) >= MAX_OPENING:
            self._refuse(gateway, asked.session_id, pb.REFUSAL_REASON_OVERLOADED)
            return
        task = asyncio.get_running_loop().create_task(self._open_later(gateway, asked))
        gateway.opening[asked.session_id] = task

    def close(self, gateway: Gateway, session_id: int) -> None:
        """The client is gone."""
        task = gateway.opening.pop(session_id, None)
        if task is not None:
            task.cancel()
        session = gateway.sessions.get(session_id)
        if session is not None:
            self._tailnet.roster.remove(session)

    def pause(self, gateway: Gateway, session_id: int) -> None:
        """The client reads slowly."""
        session = gateway.sessions.get(session_id)
        if session is not None:
            session.paused = True
            self._tailnet.roster.hold(session, self._tailnet.view.rev)

    def _find(self, asked: pb.SessionOpened) -> NodeRecord | None:
        snapshot = self._tailnet.view.snapshot
        node_id = snapshot.by_key.get(asked.node_key)
        return None if node_id is None else snapshot.nodes[node_id]

    def _behind(self, asked: pb.SessionOpened) -> bool:
        """Whether the session was told more than we know."""
        return asked.HasField("cursor") and not self._tailnet.view.cursor.covers(_cursor(asked))

    async def _open_later(self, gateway: Gateway, asked: pb.SessionOpened) -> None:
        reason = pb.REFUSAL_REASON_UNKNOWN_NODE
        try:
            if not self._tailnet.ready.is_set():
                reason = pb.REFUSAL_REASON_OVERLOADED
                async with asyncio.timeout(READY_DEADLINE):
                    await self._tailnet.ready.wait()
                reason = pb.REFUSAL_REASON_UNKNOWN_NODE
            self._tailnet.fold_in()
            if self._find(asked) is None or self._behind(asked):
                # It may have been admitted a moment ago: the answer of registration can overtake the bus.
                async with asyncio.timeout(LOOKUP_DEADLINE):
                    await self._tailnet.refresh()
                self._tailnet.fold_in()
        except (TimeoutError, grpc.aio.AioRpcError):
            if reason == pb.REFUSAL_REASON_UNKNOWN_NODE:
                # Nobody could say whether the node exists, so the client must not take it for a no.
                reason = pb.REFUSAL_REASON_OVERLOADED
        gateway.opening.pop(asked.session_id, None)
        node = self._find(asked) if self._tailnet.ready.is_set() else None
        if node is None:
            self._refuse(gateway, asked.session_id, reason)
        else:
            self._admit(gateway, asked, node)

    def _refuse(self, gateway: Gateway, session_id: int, reason: pb.RefusalReason.ValueType) -> None:
        self._metrics.refused.labels(pb.RefusalReason.Name(reason).removeprefix("REFUSAL_REASON_").lower()).inc()
        refused = pb.SessionRefused(session_id=session_id, reason=reason)
        gateway.outbox.put(pb.AttachResponse(refused=refused))

    def _admit(self, gateway: Gateway, asked: pb.SessionOpened, node: NodeRecord) -> None:
        if node.machine_key != asked.machine_key:
            log.warning("map session for a node of another machine refused", node_id=node.id)
            self._refuse(gateway, asked.session_id, pb.REFUSAL_REASON_WRONG_MACHINE)
            return
        viewer = Viewer(node.id, asked.cap_version, asked.zstd)
        moved = asked.HasField("cursor")
        # One that is brought over was opened at a time unknown here: it takes nobody's place, and any newer its.
        opened = 0.0 if moved else self._clock.now().timestamp()
        session = Session(gateway, asked.session_id, viewer, node.node_key, once=asked.once, opened=opened)
        session.whole = asked.whole
        accepted = pb.SessionAccepted(session_id=session.id, node_id=node.id)
        gateway.outbox.put(pb.AttachResponse(accepted=accepted))
        if not session.once and not moved:
            self._tailnet.roster.supersede(node.id)
            self.opened(node.id, opened)
        self._tailnet.roster.add(session)
        if moved and self._continue(session, _cursor(asked), asked.cursor.time):
            return
        session.told = moved
        self._tailnet.teller.bring_up(session)

    def _continue(self, session: Session, held: Cursor, time: int) -> bool:
        """Go on where the session stood; False when only a full map is sure.

        A key that ended by itself after `time` may be ended in all views that are known here, and was not told.
        """
        found = self._tailnet.history.holding(held)
        if found is None:
            return False
        view, doubt = found
        node_id = session.viewer.node_id
        if ended := self._tailnet.endings.since(time, self._tailnet.view.snapshot.nodes):
            doubt = ended | (doubt or frozenset())
        if node_id not in view.snapshot.nodes or (doubt is not None and node_id in doubt):
            return False
        self._tailnet.teller.tell_from(session, view, doubt)
        return True


def _cursor(asked: pb.SessionOpened) -> Cursor:
    return Cursor(asked.cursor.registry, asked.cursor.policy)
