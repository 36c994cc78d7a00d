"""The state of this gateway for operators: tunnels, map sessions, queries to nodes. Changes nothing."""

from __future__ import annotations

from dataclasses import asdict

from gateway.edge.settings import EdgeCounts
from gateway.machine.attachment import Attachment
from gateway.machine.c2n import NodeQueries
from gateway.machine.map_sessions import MapSessions
from gateway.machine.session import MapSession
from gateway.machine.session_state import Reading, Stage
from services.shared.runtime.clock import Clock
from services.shared.telemetry.pages import Document

PING_TIMEOUT = 10.0
DEFAULT_PING = "disco"

_STAGES = {
    Stage.WAITING: "waiting",
    Stage.OPENING: "opening",
    Stage.ACCEPTED: "accepted",
    Stage.LIVE: "live",
    Stage.DISMISSED: "dismissed",
    Stage.ENDED: "ended",
}


class GatewayInspector:
    """Describes the parts of one gateway, for the debug pages."""

    def __init__(
        self,
        gateway_id: str,
        counts: EdgeCounts,
        sessions: MapSessions,
        attachment: Attachment,
        queries: NodeQueries,
        clock: Clock,
    ) -> None:
        self._id, self._counts, self._sessions = gateway_id, counts, sessions
        self._attachment, self._queries, self._clock = attachment, queries, clock

    def overview(self) -> Document:
        """Return the numbers of this gateway."""
        sessions = list(self._sessions)
        return {
            "id": self._id,
            "attached_to_map_streamer": self._attachment.attached,
            "edge": asdict(self._counts),
            "map_sessions": len(sessions),
            "opening": sum(session.writer is None for session in sessions),
            "paused": sum(session.paused_since is not None for session in sessions),
            "open_questions": len(self._queries),
        }

    def sessions(self) -> list[Document]:
        """Return each map session."""
        now = self._clock.monotonic()
        return [_session(session, now) for session in self._sessions]

    async def ping(self, node_id: int, address: str, types: str) -> bytes:
        """Have a node answer (no address, no types) or ping an address. Returns its PingResponse as JSON, or nothing.

        Raises:
            ValueError: an unknown type of ping.
            LookupError: the node has no session here, or reads too slowly.
            TimeoutError: it did not answer in time.
        """
        if address or types:
            return await self._queries.ping(node_id, address, types or DEFAULT_PING, PING_TIMEOUT)
        await self._queries.alive(node_id, PING_TIMEOUT)
        return b""


def _session(session: MapSession, now: float) -> Document:
    return {
        "session": session.session_id,
        "node": session.node_id,
        "state": "paused" if session.paused_since is not None else _STAGES[session.stage],
        "reads": session.reading is Reading.READING,
        "machine_key": str(session.request.machine_key),
        "capability_version": session.request.cap_version,
        "zstd": session.request.zstd,
        "once": session.request.once,
        "registry_position": session.cursor.registry if session.cursor else None,
        "policy_position": session.cursor.policy if session.cursor else None,
        "silent_seconds": round(now - session.last_sent, 1) if session.writer is not None else None,
    }
