"""What this gateway holds, shown to operators: tunnels, map sessions, questions. Reads only."""

from __future__ import annotations

from dataclasses import asdict

from gateway.edge.settings import EdgeCounts
from gateway.machine.attachment import Attachment
from gateway.machine.c2n import Questions
from gateway.machine.map_sessions import MapSessions
from gateway.machine.session import MapSession
from services.shared.runtime.clock import Clock
from services.shared.telemetry.pages import Document

PING_TIMEOUT = 10.0
DEFAULT_PING = "disco"


class Holding:
    """A view on the parts of one gateway."""

    def __init__(
        self,
        gateway_id: str,
        counts: EdgeCounts,
        sessions: MapSessions,
        attachment: Attachment,
        questions: Questions,
        clock: Clock,
    ) -> None:
        self._id, self._counts, self._sessions = gateway_id, counts, sessions
        self._attachment, self._questions, self._clock = attachment, questions, clock

    def overview(self) -> Document:
        """In numbers."""
        sessions = list(self._sessions)
        return {
            "id": self._id,
            "attached_to_map_streamer": self._attachment.attached,
            "edge": asdict(self._counts),
            "map_sessions": len(sessions),
            "opening": sum(session.writer is None for session in sessions),
            "paused": sum(session.paused_since is not None for session in sessions),
            "open_questions": len(self._questions),
        }

    def sessions(self) -> list[Document]:
        """Each map session."""
        now = self._clock.monotonic()
        return [_session(session, now) for session in self._sessions]

    async def ping(self, node_id: int, address: str, types: str) -> bytes:
        """Let a node prove that it is there, or ping an address; then its PingResponse as JSON.

        Raises:
            ValueError: a type of ping that does not exist.
            LookupError: it has no session here, or reads too slowly.
            TimeoutError: it did not answer in time.
        """
        if address or types:
            return await self._questions.ping(node_id, address, types or DEFAULT_PING, PING_TIMEOUT)
        await self._questions.alive(node_id, PING_TIMEOUT)
        return b""


def _session(session: MapSession, now: float) -> Document:
    return {
        "session": session.session_id,
        "node": session.node_id,
        "state": _state(session),
        "machine_key": str(session.ask.machine_key),
        "capability_version": session.ask.cap_version,
        "zstd": session.ask.zstd,
        "once": session.ask.once,
        "registry_position": session.held.registry if session.held else None,
        "policy_position": session.held.policy if session.held else None,
        "silent_seconds": round(now - session.last_sent, 1) if session.writer is not None else None,
    }


def _state(session: MapSession) -> str:
    if session.writer is None:
        return "opening" if session.upstream else "waiting"
    if session.paused_since is not None:
        return "paused"
    return "live" if session.has_map else "accepted"
