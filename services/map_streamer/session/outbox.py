"""The bounded queue of messages to one gateway: `tailnet` fills it, `rpc` sends. Knows frames by id, no map content.

Messages leave in order. Full maps are not queued: a session waits by its id, and its map is built from the view that is
current when everything before it has been taken, so at most one is in flight for each gateway.

When full: from `HIGH` unsent bytes on, the outbox is congested. No more deltas are queued for its sessions; they fall
behind instead. Below `LOW` the congestion ends, and each session gets one merged delta.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable

from smartscale.common.v1 import common_pb2
from smartscale.map_streamer.v1 import map_streamer_pb2 as pb

from services.map_streamer.render import Frame, Part

HIGH = 8 << 20
LOW = 1 << 20


class GatewayOutbox:
    """The queue of a gateway, and the sessions that wait for a full map."""

    def __init__(self, build: Callable[[int], None], relieved: Callable[[], None], high: int = HIGH) -> None:
        self._build = build
        self._relieved = relieved
        self._high = high
        self._low = min(LOW, high // 2)
        self._ready: deque[pb.AttachResponse] = deque()
        self._waiting: OrderedDict[int, None] = OrderedDict()
        self._known: set[int] = set()
        self._event = asyncio.Event()
        self._closed = False
        self.bytes = 0
        self.congested = False

    def __len__(self) -> int:
        return len(self._ready)

    def put(self, response: pb.AttachResponse) -> None:
        """Queue a message."""
        if self._closed:
            return
        self._ready.append(response)
        self.bytes += response.ByteSize()
        if self.bytes >= self._high:
            self.congested = True
        self._event.set()

    def put_full(
        self, session_id: int, parts: Iterable[Part], cursor: common_pb2.Cursor, *, whole: bool = False
    ) -> None:
        """Queue a full map, preceded by the frames that this gateway lacks. With `whole`, frames are sent inline."""
        out = []
        for part in parts:
            if isinstance(part, Frame) and whole:
                out.append(pb.Part(data=part.data))
            elif isinstance(part, Frame):
                if part.id not in self._known:
                    self._known.add(part.id)
                    self.put(pb.AttachResponse(frame=pb.Frame(frame_id=part.id, data=part.data)))
                out.append(pb.Part(frame_id=part.id))
            else:
                out.append(pb.Part(data=part))
        self.put(pb.AttachResponse(full=pb.Full(session_id=session_id, parts=out, cursor=cursor)))

    def request_full(self, session_id: int) -> None:
        """Add a session to the queue for full maps."""
        if not self._closed:
            self._waiting[session_id] = None
            self._event.set()

    def cancel_full(self, session_id: int) -> None:
        """Remove a session from the queue for full maps."""
        self._waiting.pop(session_id, None)

    def drop_frames(self, frame_ids: Iterable[int]) -> None:
        """Note that the gateway no longer has these frames."""
        self._known.difference_update(frame_ids)

    def retire(self, frame_ids: list[int]) -> None:
        """Let the gateway drop those of these frames that it has."""
        known = [frame_id for frame_id in frame_ids if frame_id in self._known]
        if known:
            self._known.difference_update(known)
            self.put(pb.AttachResponse(retired=pb.FramesRetired(frame_ids=known)))

    def close(self) -> None:
        """End the stream. Queued messages are lost."""
        self._closed = True
        self._ready.clear()
        self._waiting.clear()
        self._event.set()

    async def next(self) -> pb.AttachResponse | None:
        """Wait for the next message. Returns None when the stream has ended."""
        while True:
            if self._ready:
                return self._pop()
            if self._closed:
                return None
            if self._waiting:
                session_id, _ = self._waiting.popitem(last=False)
                self._build(session_id)
                continue
            self._event.clear()
            await self._event.wait()

    def _pop(self) -> pb.AttachResponse:
        response = self._ready.popleft()
        self.bytes -= response.ByteSize()
        if self.congested and self.bytes <= self._low:
            self.congested = False
            self._relieved()
        return response
