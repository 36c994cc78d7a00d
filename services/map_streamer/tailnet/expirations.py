"""Expiries of node keys and reminders of them, future and past: which are next, and which passed since a time.

Sends nothing. Past ones are kept because the change logs do not contain them: a session may come from a replica that
was lost before a key expired, at a cursor at which this replica knows the key only as expired.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right, insort
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from services.map_streamer.snapshot import NodeRecord, NoticeSettings, reminder_due

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SLACK = 1024
"""Entries that may be kept beyond four for each node: two for its expiry, two for former ones."""


def microseconds(when: datetime) -> int:
    """Return a time as cursors carry it: microseconds since 1970."""
    return (when - _EPOCH) // timedelta(microseconds=1)


class Expirations:
    """Times in order. A node whose expiry changed has several entries, so callers check the node itself."""

    def __init__(self, settings: NoticeSettings | None = None) -> None:
        self._settings = settings or NoticeSettings()
        self._coming: list[tuple[datetime, int]] = []
        self._past: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._coming) + len(self._past)

    @property
    def next(self) -> datetime | None:
        """The earliest future expiry or reminder, or None."""
        return self._coming[0][0] if self._coming else None

    def put(self, node: NodeRecord, now: datetime) -> None:
        """Add the expiry of a node's key, if it has one, and the reminder of it."""
        expiry = node.recorded_expiry
        if expiry is None:
            return
        for when in (expiry, reminder_due(expiry, self._settings)) if self._settings.key_expiry else (expiry,):
            if when <= now:
                insort(self._past, (microseconds(when), node.id))
            elif not node.expired:
                heapq.heappush(self._coming, (when, node.id))

    def take(self, now: datetime) -> list[int]:
        """Return the nodes whose key expired, or is to be reminded of, since the last call."""
        expired: list[int] = []
        while self._coming and self._coming[0][0] <= now:
            when, node_id = heapq.heappop(self._coming)
            insort(self._past, (microseconds(when), node_id))
            expired.append(node_id)
        return expired

    def since(self, time: int, nodes: Mapping[int, NodeRecord]) -> frozenset[int]:
        """Return the nodes whose key expired or came near its expiry after `time`, in microseconds since 1970."""
        if not self._past or self._past[-1][0] <= time:
            return frozenset()
        later = self._past[bisect_right(self._past, (time, 1 << 63)) :]
        return frozenset(node_id for _, node_id in later if node_id in nodes)

    def forget(self, nodes: Mapping[int, NodeRecord], now: datetime) -> None:
        """Rebuild the entries from `nodes` once many are outdated."""
        if len(self) > 4 * len(nodes) + _SLACK:
            self._coming, self._past = [], []
            for node in nodes.values():
                self.put(node, now)
