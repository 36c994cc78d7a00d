"""Protocols that `map_sessions` calls: `attachment` is the uplink, `presence` the observer. Owns no behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from gateway.machine.map_framing import INTERVAL, JITTER
from gateway.machine.session import MapSession

Part = bytes | int
"""Bytes of a message, or the id of a shared frame."""
Reason = Literal[
    "client", "lost", "removed", "rotated", "superseded", "done", "resync", "slow", "refused", "timeout", "stopping"
]
"""Why a session ended; the label of a metric."""


class Uplink(Protocol):
    """Sends to the map streamer; never blocks, and discards messages while none is attached."""

    @property
    def attached(self) -> bool:
        """Return whether a map streamer is attached."""
        ...

    def opened(self, session: MapSession) -> None:
        """Open a session at the map streamer, with its cursor if it has one."""
        ...

    def closed(self, route: int) -> None:
        """Report the end of a session."""
        ...

    def paused(self, route: int) -> None:
        """Report that the client of a session reads slowly."""
        ...

    def dropped(self, frame_ids: Sequence[int]) -> None:
        """Report frames that the cache has dropped."""
        ...


class Observer(Protocol):
    """Observes when sessions of nodes begin and end."""

    def opened(self, session_id: int, node_id: int) -> None:
        """Add a session that serves a node."""
        ...

    def closed(self, session_id: int, *, lost: bool = False) -> None:
        """Remove a session that has ended; `lost`: its client no longer answered."""
        ...


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations in seconds, and the budget of full maps."""

    keepalive: float = INTERVAL
    jitter: float = JITTER
    open_timeout: float = 30.0
    slow_timeout: float = 60.0
    retry: float = 1.0
    initial_map_bytes: int = 64 << 20
    """Bytes of full maps in flight at once."""
