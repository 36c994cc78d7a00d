"""The send queues of one slow relay client, each with a bound. Knows no socket."""

from __future__ import annotations

from collections import deque
from typing import Final

PACKETS: Final = 32
"""Maximum number of queued packets per client and kind (`derpserver.go`, perClientSendQueueDepth)."""

NOTICES: Final = 1024
"""Maximum number of queued peer notices per client; a mesh watcher with more is disconnected."""


class Backlog:
    """Frames queued until a client's connection is writable again.

    Rule when full: packets are dropped from the head (an old packet is worth less than a new one), discovery packets
    have a queue of their own so that bulk data cannot starve them, at most one pong is queued, and of notices about
    one peer only the last is kept.
    """

    __slots__ = ("_disco", "_notices", "_packets", "_pong")

    def __init__(self, depth: int = PACKETS) -> None:
        self._disco: deque[bytes] = deque(maxlen=depth)
        self._packets: deque[bytes] = deque(maxlen=depth)
        self._notices: dict[bytes, bytes] = {}
        self._pong: bytes | None = None

    def __len__(self) -> int:
        return len(self._disco) + len(self._packets) + len(self._notices) + (self._pong is not None)

    def push_packet(self, frame: bytes, *, disco: bool) -> bool:
        """Queue a packet. Returns False if an older one was dropped for it."""
        queue = self._disco if disco else self._packets
        room = len(queue) < (queue.maxlen or 0)
        queue.append(frame)
        return room

    def push_pong(self, frame: bytes) -> bool:
        """Queue a pong. Returns False if one is queued already, so that this ping goes unanswered."""
        if self._pong is not None:
            return False
        self._pong = frame
        return True

    def push_notice(self, key: bytes, frame: bytes) -> bool:
        """Queue the latest notice about a peer. Returns False if the queue is full and the notice is lost."""
        if key not in self._notices and len(self._notices) >= NOTICES:
            return False
        self._notices.pop(key, None)
        self._notices[key] = frame
        return True

    def take(self) -> list[bytes]:
        """Remove and return all queued frames, most urgent first."""
        if not len(self):
            return []
        waiting = [] if self._pong is None else [self._pong]
        waiting += self._disco
        waiting += self._notices.values()
        waiting += self._packets
        self._pong = None
        self._disco.clear()
        self._notices.clear()
        self._packets.clear()
        return waiting
