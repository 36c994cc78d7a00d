"""The sending half of a connection: control frames first, then the data of all streams in turn, as windows allow."""

from __future__ import annotations

from gateway.edge.http2 import frames
from gateway.edge.http2.errors import ErrorCode, ProtocolError
from gateway.edge.http2.frames import DEFAULT_FRAME_SIZE, DEFAULT_WINDOW, HEADER_SIZE, MAX_FRAME_SIZE, MAX_WINDOW
from gateway.edge.http2.stream import Buffer, Stream

_FRAME_SIZE_USED = 1 << 16
"""Larger frames would only make the other streams wait longer for their turn."""


class Outbound:
    """The send queue of one connection, and the windows that the peer granted."""

    __slots__ = ("_control", "_limit", "_ready", "data_frames", "initial_window", "max_frame", "window")

    def __init__(self, max_control_frames: int) -> None:
        self._control: list[Buffer] = []
        self._limit = max_control_frames
        self._ready: dict[int, Stream] = {}
        self.window = DEFAULT_WINDOW
        self.initial_window = DEFAULT_WINDOW
        self.max_frame = DEFAULT_FRAME_SIZE
        self.data_frames = 0
        """DATA frames sent so far."""

    def push(self, frame: bytes) -> None:
        """Queue a frame that we decided to send."""
        self._control.append(frame)

    def answer(self, frame: bytes) -> None:
        """Queue a frame that answers one of the peer.

        Raises:
            ProtocolError: the peer causes answers and does not read them.
        """
        if len(self._control) >= self._limit:
            raise ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, "too many answers wait for the peer")
        self._control.append(frame)

    def wake(self, stream: Stream) -> None:
        """Schedule a stream that has data or whose window grew."""
        if stream.unsent:
            self._ready[stream.id] = stream

    def forget(self, stream: Stream) -> None:
        """Discard a stream and its data."""
        self._ready.pop(stream.id, None)

    def widen(self, increment: int) -> None:
        """Widen the window of the connection.

        Raises:
            ProtocolError: it exceeds the maximum of a window.
        """
        self.window += increment
        if self.window > MAX_WINDOW:
            raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "a connection window beyond its maximum")

    def reserve_direct(self, stream: Stream, size: int) -> bool:
        """Count `size` bytes as sent in one frame. Returns False if data waits or a window is too small."""
        if self._control or self._ready or stream.unsent or stream.ending:
            return False
        if size > self.max_frame or size > self.window or size > stream.send_window:
            return False
        stream.send_window -= size
        stream.progress += size
        self.window -= size
        self.data_frames += 1
        return True

    def apply_settings(self, payload: bytes) -> int:
        """Apply the peer's SETTINGS. Returns by how much the windows of all streams change.

        Raises:
            ProtocolError: a value is out of range.
        """
        before = self.initial_window
        for key, value in frames.parse_settings(payload):
            if key == frames.SETTINGS_INITIAL_WINDOW_SIZE:
                if value > MAX_WINDOW:
                    raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "an initial window beyond its maximum")
                self.initial_window = value
            elif key == frames.SETTINGS_MAX_FRAME_SIZE:
                if not DEFAULT_FRAME_SIZE <= value <= MAX_FRAME_SIZE:
                    raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a frame size out of range")
                self.max_frame = min(value, _FRAME_SIZE_USED)
            elif key == frames.SETTINGS_ENABLE_PUSH and value > 1:
                raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "enable push is neither 0 nor 1")
        return self.initial_window - before

    def take(self, limit: int, ended: list[Stream]) -> list[Buffer]:
        """Return the buffers to send now, in order: all control frames, and about `limit` bytes of data.

        Streams whose last byte is among them are appended to `ended`.
        """
        out, self._control = self._control, []
        ready = self._ready
        while ready and limit > 0 and self.window > 0:
            stream = next(iter(ready.values()))
            del ready[stream.id]
            size = min(stream.unsent, stream.send_window, self.max_frame, self.window)
            if size <= 0:
                continue
            last = stream.ending and size == stream.unsent
            out.append(frames.frame_header(size, frames.DATA, frames.END_STREAM if last else 0, stream.id))
            stream.cut(size, out)
            self.data_frames += 1
            self.window -= size
            limit -= size + HEADER_SIZE
            if last:
                ended.append(stream)
            elif stream.unsent:
                ready[stream.id] = stream
        return out
