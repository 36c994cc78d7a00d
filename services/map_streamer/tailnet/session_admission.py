"""Opens map sessions: finds the node, checks its machine key, and decides between nothing, a delta and a full map."""

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
"""Maximum number of sessions of one gateway whose node is being looked up; more are refused as overload."""


def _no_replicas(node_id: int, when: float) -> None:
    """Do nothing: there is no other replica."""


class SessionAdmission:
    """Opens and closes map sessions of a tailnet."""

    def __init__(self, tailnet: Tailnet, clock: Clock, metrics: Metrics) -> None:
        self._tailnet = tailnet
        self._clock = clock
        self._metrics = metrics
        self._warned = False
        self.opened: Callable[[int, float], None] = _no_replicas
        """Called with node id and time of each new stream; set by `Replicas`, so that other replicas end older ones."""

    def open(self, gateway: Gateway, asked: pb.SessionOpened) -> None:
        """Open a session now, or after its node has been looked up."""
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
        """Remove a session whose client has disconnected."""
        task = gateway.opening.pop(session_id, None)
        if task is not None:
            task.cancel()
        session = gateway.sessions.get(session_id)
        if session is not None:
            self._tailnet.roster.remove(session)

    def pause(self, gateway: Gateway, session_id: int) -> None:
        """Stop sending to a session whose client reads slowly."""
        session = gateway.sessions.get(session_id)
        if session is not None:
            session.paused = True
            self._tailnet.roster.fall_behind(session, self._tailnet.view.rev)

    def _find(self, asked: pb.SessionOpened) -> NodeRecord | None:
        snapshot = self._tailnet.view.snapshot
        node_id = snapshot.by_key.get(asked.node_key)
        return None if node_id is None else snapshot.nodes[node_id]

    def _behind(self, asked: pb.SessionOpened) -> bool:
        """Return whether the session was sent changes that this replica has not read yet."""
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
                # The node may just have been admitted: the answer to its registration can overtake the bus.
                async with asyncio.timeout(LOOKUP_DEADLINE):
                    await self._tailnet.refresh()
                self._tailnet.fold_in()
        except (TimeoutError, grpc.aio.AioRpcError):
            if reason == pb.REFUSAL_REASON_UNKNOWN_NODE:
                # Whether the node exists is unknown, and a client takes "unknown node" for a final answer.
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
        self._warn_of_missing_pin(viewer)
        moved = asked.HasField("cursor")
        # When a moved session was opened is unknown here: it supersedes none, and any newer one supersedes it.
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
        session.sent_any = moved
        self._tailnet.broadcaster.catch_up(session)

    def _warn_of_missing_pin(self, viewer: Viewer) -> None:
        """Log once that a relay's identity is not proven to clients that do not read pinned certificates."""
        if not self._warned and self._tailnet.renderer.unpins(viewer.encoding):
            self._warned = True
            log.warning(
                "clients before 1.82 reach pinned relays without checking their certificate: "
                "update them, or set derp.server.allow_unpinned_old_clients to false",
                node_id=viewer.node_id,
            )

    def _continue(self, session: Session, cursor: Cursor, time: int) -> bool:
        """Continue a moved session from its cursor. Returns False when it needs a full map.

        A key that expired after `time` may be expired in every view known here although the client was not sent that.
        """
        found = self._tailnet.history.view_at(cursor)
        if found is None:
            return False
        view, uncertain = found
        node_id = session.viewer.node_id
        if expired := self._tailnet.expirations.since(time, self._tailnet.view.snapshot.nodes):
            uncertain = expired | (uncertain or frozenset())
        if node_id not in view.snapshot.nodes or (uncertain is not None and node_id in uncertain):
            return False
        self._tailnet.broadcaster.resume_from(session, view, uncertain)
        return True


def _cursor(asked: pb.SessionOpened) -> Cursor:
    return Cursor(asked.cursor.registry, asked.cursor.policy)
