"""When keys end by themselves: those that will, and those that have. Knows nodes by id and term, and tells nobody.

What has ended is kept because the change logs do not say it: a session that comes from a map streamer which was lost
before a key ended stands at a position at which this one may know the key only as ended.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right, insort
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from services.map_streamer.snapshot import NodeRecord

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SPARE = 1024
"""Terms that may be kept beyond two of each node."""


def microseconds(when: datetime) -> int:
    """A time as cursors carry it."""
    return (when - _EPOCH) // timedelta(microseconds=1)


class Endings:
    """Terms of keys, by time. A node whose term changed is in it more than once: who asks looks at the node."""

    def __init__(self) -> None:
        self._coming: list[tuple[datetime, int]] = []
        self._past: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._coming) + len(self._past)

    @property
    def next(self) -> datetime | None:
        """When the next one is."""
        return self._coming[0][0] if self._coming else None

    def put(self, node: NodeRecord, now: datetime) -> None:
        """Keep a node's term."""
        if node.term is None:
            return
        if node.term <= now:
            insort(self._past, (microseconds(node.term), node.id))
        elif not node.expired:
            heapq.heappush(self._coming, (node.term, node.id))

    def take(self, now: datetime) -> list[int]:
        """The nodes whose term is over since the last call."""
        ended: list[int] = []
        while self._coming and self._coming[0][0] <= now:
            when, node_id = heapq.heappop(self._coming)
            insort(self._past, (microseconds(when), node_id))
            ended.append(node_id)
        return ended

    def since(self, time: int, nodes: Mapping[int, NodeRecord]) -> frozenset[int]:
        """Nodes whose term ended after that time, in microseconds."""
        if not self._past or self._past[-1][0] <= time:
            return frozenset()
        later = self._past[bisect_right(self._past, (time, 1 << 63)) :]
        return frozenset(node_id for _, node_id in later if node_id in nodes)

    def forget(self, nodes: Mapping[int, NodeRecord], now: datetime) -> None:
        """Keep only what is true of these nodes, once much is not."""
        if len(self) > 2 * len(nodes) + _SPARE:
            self._coming, self._past = [], []
            for node in nodes.values():
                self.put(node, now)
