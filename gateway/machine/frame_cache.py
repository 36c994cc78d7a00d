"""Cache of shared parts of map messages, by frame id: `map_sessions` fills it and sends from it. Knows no session.

A frame id is valid within one attachment to a map streamer, so a new attachment begins with an empty cache. The cache
is bounded: dropped frames are reported, so that the map streamer sends their bytes again when needed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

DEFAULT_CAPACITY = 128 << 20
"""Bytes of frames kept; 100,000 nodes of 1 KiB compressed four times over fit."""


class MissingFrameError(LookupError):
    """A message names a frame that is not in the cache (it was dropped while the message was under way)."""


class FramesById:
    """Frames by id, least recently used first."""

    __slots__ = ("_capacity", "_frames", "_size")

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        self._capacity = capacity
        self._frames: OrderedDict[int, bytes] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def size(self) -> int:
        """Bytes of all frames."""
        return self._size

    def put(self, frame_id: int, data: bytes) -> list[int]:
        """Add a frame. Returns the ids of those dropped to make room (never the new one)."""
        self._forget(frame_id)
        self._frames[frame_id] = data
        self._size += len(data)
        dropped: list[int] = []
        while self._size > self._capacity and len(self._frames) > 1:
            oldest, gone = self._frames.popitem(last=False)
            self._size -= len(gone)
            dropped.append(oldest)
        return dropped

    def get(self, frame_id: int) -> bytes:
        """Return the bytes of a frame.

        Raises:
            MissingFrameError: the cache does not have it.
        """
        try:
            self._frames.move_to_end(frame_id)
        except KeyError:
            raise MissingFrameError(f"frame {frame_id} is not in the cache") from None
        return self._frames[frame_id]

    def retire(self, frame_ids: Iterable[int]) -> None:
        """Drop frames that no message will name again."""
        for frame_id in frame_ids:
            self._forget(frame_id)

    def clear(self) -> None:
        """Drop everything, because the attachment that defined the ids has ended."""
        self._frames.clear()
        self._size = 0

    def _forget(self, frame_id: int) -> None:
        gone = self._frames.pop(frame_id, None)
        if gone is not None:
            self._size -= len(gone)
