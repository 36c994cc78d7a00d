"""One stream: the incoming request, the outgoing answer, and the windows of both. Decides nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from gateway.edge.http2.frames import DEFAULT_WINDOW
from gateway.edge.http2.headers import RequestHead

Buffer = bytes | bytearray | memoryview


class Stream:
    """A stream, from HEADERS until both sides have ended or one has reset."""

    __slots__ = (
        "answered",
        "body",
        "ending",
        "head",
        "id",
        "max_body",
        "pending",
        "progress",
        "receive_window",
        "received",
        "refused",
        "remote_ended",
        "send_window",
        "stale",
        "unsent",
    )

    def __init__(self, stream_id: int, head: RequestHead | None, send_window: int) -> None:
        self.id = stream_id
        self.head = head
        """None once the request was handed over or refused."""
        self.body = bytearray()
        self.received = 0
        self.max_body = 0
        """Bytes that its body may have instead of the usual limit; zero: the usual limit."""
        self.receive_window = DEFAULT_WINDOW
        self.remote_ended = False
        self.refused = False
        self.answered = False
        self.send_window = send_window
        self.pending: deque[Buffer] | None = None
        self.unsent = 0
        self.ending = False
        """Whether no more data will be queued; END_STREAM goes with the last byte."""
        self.progress = 0
        """Bytes moved in both directions, compared by `Connection.sweep`."""
        self.stale = -1
        """`progress` at the last sweep while the peer had the next step; -1: it had not."""

    def queue(self, buffers: Sequence[Buffer]) -> None:
        """Queue references to data that waits for the windows; nothing is copied or joined."""
        pending = self.pending
        if pending is None:
            pending = self.pending = deque()
        for buffer in buffers:
            if size := len(buffer):
                pending.append(buffer)
                self.unsent += size

    def cut(self, size: int, out: list[Buffer]) -> None:
        """Move the next `size` bytes to `out`."""
        pending = self.pending
        assert pending is not None
        self.unsent -= size
        self.progress += size
        self.send_window -= size
        while size:
            buffer = pending[0]
            if len(buffer) <= size:
                out.append(buffer)
                size -= len(buffer)
                pending.popleft()
            else:
                view = memoryview(buffer)
                out.append(view[:size])
                pending[0] = view[size:]
                size = 0
        if not pending:
            self.pending = None

    @property
    def waits_for_peer(self) -> bool:
        """Return whether the next step is the peer's: the rest of a request, or room for the rest of an answer."""
        return self.head is not None or self.unsent > 0
