"""The server side of one HTTP/2 connection, sans-IO: checks the order of frames, applies their effects. No socket.

Three rules hold throughout. An error of the peer ends either one stream (RST_STREAM) or the connection (GOAWAY, then
`ProtocolError` now and on every later call). Nothing grows without one of the bounds in `Limits`. Work that brings no
request forward is charged to a budget, by frame and by byte.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.edge.http2 import frames
from gateway.edge.http2.errors import ErrorCode, ProtocolError, StreamError
from gateway.edge.http2.events import Event, GoingAway, Pong, StreamReset
from gateway.edge.http2.frames import DEFAULT_FRAME_SIZE, HEADER_SIZE, MAX_WINDOW, PREFACE
from gateway.edge.http2.headers import Headers, MalformedRequestError, check_trailers, encode_response
from gateway.edge.http2.inbound import HeaderBlock, Inbound
from gateway.edge.http2.limits import Limits
from gateway.edge.http2.outbound import Outbound
from gateway.edge.http2.stream import Buffer, Stream

_DEFAULT_LIMITS = Limits()


_FREE_UPDATES = 2
"""Budget returned for each DATA frame that we send: the peer may update two windows for it."""
_SMALL_DATA = 128
"""Bytes below which a DATA frame that does not end its stream is charged: a frame of one byte costs as much."""
_BLOCK_UNIT = 1024
"""Bytes of a header block per unit of budget: Huffman decoding costs 0.2 us a byte, and usual blocks are smaller."""
_SETTINGS_UNIT = 8
"""Settings in one frame per unit of budget; a client has six."""


class Connection:
    """One connection. Its SETTINGS wait in `take` from the start, because older clients read before they write.

    Sending to a stream that has ended does nothing; an event informs the owner, possibly later.
    """

    __slots__ = (
        "_budget",
        "_buffer",
        "_closing",
        "_failed",
        "_inbound",
        "_last_stream_id",
        "_limits",
        "_outbound",
        "_pinged",
        "_preface_seen",
        "_settings_seen",
        "_streams",
    )

    def __init__(self, limits: Limits = _DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._budget = limits.budget
        self._outbound = Outbound(limits.max_control_frames)
        self._inbound = Inbound(limits, self._outbound)
        self._streams: dict[int, Stream] = {}
        self._last_stream_id = 0
        self._buffer = b""
        self._preface_seen = self._settings_seen = self._closing = self._pinged = False
        self._failed: ProtocolError | None = None
        self._outbound.push(
            frames.settings(
                {
                    frames.SETTINGS_MAX_CONCURRENT_STREAMS: limits.max_streams,
                    frames.SETTINGS_MAX_HEADER_LIST_SIZE: limits.max_header_list,
                }
            )
        )

    # Used by the owner

    @property
    def streams(self) -> int:
        """Number of open streams."""
        return len(self._streams)

    @property
    def ready(self) -> bool:
        """Return whether the peer has sent the preface and its SETTINGS."""
        return self._settings_seen

    @property
    def last_stream_id(self) -> int:
        """The highest stream id that the peer has opened."""
        return self._last_stream_id

    def unsent(self, stream_id: int) -> int:
        """Return the bytes of a stream that wait for windows or for `take`."""
        stream = self._streams.get(stream_id)
        return stream.unsent if stream is not None else 0

    def window(self, stream_id: int) -> int:
        """Return the bytes that a stream could send now beyond those that wait; negative if more wait than fit."""
        stream = self._streams.get(stream_id)
        return min(stream.send_window, self._outbound.window) - stream.unsent if stream is not None else 0

    def send_head(
        self,
        stream_id: int,
        status: int,
        content_type: str | None = None,
        content_length: int | None = None,
        extra: Sequence[tuple[str, str]] = (),
        *,
        end: bool = False,
    ) -> bool:
        """Start an answer. Returns False if the stream has ended or has an answer."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.answered:
            return False
        block = encode_response(status, content_type, content_length, extra)
        stream.answered = True
        flags = frames.END_HEADERS | (frames.END_STREAM if end else 0)
        self._outbound.push(frames.frame_header(len(block), frames.HEADERS, flags, stream_id) + block)
        if end:
            self._local_ended(stream)
        return True

    def send_data(self, stream_id: int, buffers: Sequence[Buffer]) -> bool:
        """Queue data by reference. Returns False if the stream has ended or is ending."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.ending:
            return False
        stream.queue(buffers)
        self._outbound.wake(stream)
        return True

    def reserve_direct(self, stream_id: int, size: int) -> bytes | None:
        """Return the header of a DATA frame of `size` bytes that the caller sends now. None: they must be queued."""
        stream = self._streams.get(stream_id)
        if stream is None or not self._outbound.reserve_direct(stream, size):
            return None
        if self._budget < self._limits.budget:
            self._budget = min(self._limits.budget, self._budget + _FREE_UPDATES)
        return frames.data_header(size, stream_id)

    def end(self, stream_id: int) -> None:
        """End an answer after the queued data."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.ending:
            return
        stream.ending = True
        if not stream.unsent:
            self._outbound.push(frames.frame_header(0, frames.DATA, frames.END_STREAM, stream_id))
            self._local_ended(stream)

    def reset(self, stream_id: int, code: ErrorCode = ErrorCode.CANCEL) -> None:
        """Reset a stream; no event follows."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._drop(stream)
            self._outbound.push(frames.rst_stream(stream_id, code))

    def ping(self) -> None:
        """Send a PING; a `Pong` follows."""
        self._pinged = True
        self._outbound.push(frames.ping(bytes(8)))

    def go_away(self, code: ErrorCode = ErrorCode.NO_ERROR) -> None:
        """Refuse new streams from now on; open ones continue."""
        if not self._closing:
            self._closing = True
            self._outbound.push(frames.goaway(self._last_stream_id, code))

    def sweep(self) -> list[Event]:
        """Refill the budget and reset streams that the peer has not moved since the last call; call at an even pace."""
        self._budget = self._limits.budget
        events: list[Event] = []
        for stream in list(self._streams.values()):
            if not stream.waits_for_peer:
                stream.stale = -1
            elif stream.stale == stream.progress:
                self._reset(stream.id, ErrorCode.CANCEL, events)
            else:
                stream.stale = stream.progress
        return events

    def take(self, limit: int = 1 << 16) -> list[Buffer]:
        """Return what to send now, in order: all control frames and about `limit` bytes of data."""
        ended: list[Stream] = []
        before = self._outbound.data_frames
        out = self._outbound.take(limit, ended)
        credit = _FREE_UPDATES * (self._outbound.data_frames - before)
        if credit:
            self._budget = min(self._limits.budget, self._budget + credit)
        if ended:
            for stream in ended:
                self._local_ended(stream)
            out += self._outbound.take(0, ended)
        return out

    # Frames from the peer

    def receive(self, data: bytes) -> list[Event]:
        """Process received bytes. Returns the events that they complete.

        Raises:
            ProtocolError: the peer violated the protocol; send what `take` still returns, then close.
        """
        if self._failed is not None:
            raise ProtocolError(self._failed.code, str(self._failed))
        buffer = self._buffer + data if self._buffer else data
        events: list[Event] = []
        try:
            position = 0 if self._preface_seen else self._read_preface(buffer)
            while self._preface_seen and len(buffer) - position >= HEADER_SIZE:
                length, kind, flags, stream_id = frames.parse_header(buffer, position)
                if length > DEFAULT_FRAME_SIZE:
                    raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "a frame above the size announced")
                end = position + HEADER_SIZE + length
                if len(buffer) < end:
                    break
                self._frame(kind, flags, stream_id, buffer[position + HEADER_SIZE : end], events)
                position = end
        except ProtocolError as error:
            self._fail(error)
            raise
        self._buffer = bytes(buffer[position:])
        return events

    def _read_preface(self, buffer: bytes) -> int:
        if not PREFACE.startswith(buffer[: len(PREFACE)]):
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "not the preface of http/2")
        self._preface_seen = len(buffer) >= len(PREFACE)
        return len(PREFACE) if self._preface_seen else 0

    def _frame(self, kind: int, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        if not self._settings_seen and (kind != frames.SETTINGS or flags & frames.ACK):
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "the first frame is not settings")
        if self._inbound.interrupted_by(kind, stream_id):
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a header block interrupted")
        handler = _HANDLERS.get(kind)
        if handler is None:
            self._spend(1)
            return
        try:
            handler(self, flags, stream_id, payload, events)
        except StreamError as error:
            # A peer that makes us reset costs as much as one that resets (CVE-2025-8671, "made you reset").
            self._spend(self._limits.reset_cost if error.stream_id in self._streams else 1)
            self._reset(error.stream_id, error.code, events)

    def _on_data(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        self._inbound.account(len(payload))
        data = frames.unpad(payload, flags)
        stream = self._open(stream_id)
        if stream is None or stream.remote_ended:
            raise StreamError(stream_id, ErrorCode.STREAM_CLOSED)
        if flags & frames.END_STREAM:
            stream.remote_ended = True
        elif len(data) < _SMALL_DATA:
            self._spend(1)
        self._inbound.data(stream, len(payload), data, events)
        if stream.remote_ended:
            self._inbound.complete(stream, events)

    def _on_headers(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        self._on_block(self._inbound.begin_block(flags, stream_id, payload), events)

    def _on_continuation(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        self._on_block(self._inbound.continue_block(flags, payload), events)

    def _on_block(self, block: HeaderBlock | None, events: list[Event]) -> None:
        if block is None:
            return
        self._spend(block.size // _BLOCK_UNIT)
        headers = self._inbound.decode(block)
        try:
            if block.stream_id > self._last_stream_id:
                self._open_stream(block, headers, events)
            else:
                self._end_by_trailers(block, headers, events)
        except MalformedRequestError:
            self._spend(self._limits.reset_cost)
            raise StreamError(block.stream_id, ErrorCode.PROTOCOL_ERROR) from None

    def _open_stream(self, block: HeaderBlock, headers: Headers, events: list[Event]) -> None:
        self._last_stream_id = stream_id = block.stream_id
        if self._closing or len(self._streams) >= self._limits.max_streams:
            raise StreamError(stream_id, ErrorCode.REFUSED_STREAM)
        head = self._inbound.read_head(headers)
        stream = self._streams[stream_id] = Stream(stream_id, head, self._outbound.initial_window)
        stream.remote_ended = block.end_stream
        self._inbound.opened(stream, events)

    def _end_by_trailers(self, block: HeaderBlock, headers: Headers, events: list[Event]) -> None:
        stream = self._streams.get(block.stream_id)
        if stream is None or stream.remote_ended:
            raise StreamError(block.stream_id, ErrorCode.STREAM_CLOSED)
        check_trailers(headers)
        if not block.end_stream:
            raise StreamError(block.stream_id, ErrorCode.PROTOCOL_ERROR)
        stream.remote_ended = True
        self._inbound.complete(stream, events)

    def _on_rst_stream(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        _expect(len(payload) == 4, ErrorCode.FRAME_SIZE_ERROR, "a reset of a broken length")
        stream = self._open(stream_id)
        if stream is None:
            self._spend(1)
            return
        self._spend(1 if stream.answered else self._limits.reset_cost)
        self._drop(stream, events, int.from_bytes(payload, "big"))

    def _on_settings(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        _expect(stream_id == 0, ErrorCode.PROTOCOL_ERROR, "settings on a stream")
        self._spend(1 + len(payload) // (frames.SETTING_SIZE * _SETTINGS_UNIT))
        if flags & frames.ACK:
            _expect(not payload, ErrorCode.FRAME_SIZE_ERROR, "an acknowledgement with settings in it")
            return
        self._settings_seen = True
        self._change_windows(self._outbound.apply_settings(payload))
        self._outbound.answer(frames.SETTINGS_ACK)

    def _change_windows(self, difference: int) -> None:
        if not difference:
            return
        for stream in self._streams.values():
            stream.send_window += difference
            _expect(stream.send_window <= MAX_WINDOW, ErrorCode.FLOW_CONTROL_ERROR, "a window beyond its maximum")
            self._outbound.wake(stream)

    def _on_ping(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        _expect(stream_id == 0, ErrorCode.PROTOCOL_ERROR, "a ping on a stream")
        _expect(len(payload) == 8, ErrorCode.FRAME_SIZE_ERROR, "a ping of a broken length")
        if flags & frames.ACK and self._pinged:
            self._pinged = False
            events.append(Pong())
            return
        self._spend(1)
        if not flags & frames.ACK:
            self._outbound.answer(frames.ping(payload, ack=True))

    def _on_goaway(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        _expect(stream_id == 0, ErrorCode.PROTOCOL_ERROR, "goaway on a stream")
        _expect(len(payload) >= 8, ErrorCode.FRAME_SIZE_ERROR, "a goaway of a broken length")
        self._spend(1)
        events.append(GoingAway(int.from_bytes(payload[4:8], "big")))

    def _on_window_update(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        _expect(len(payload) == 4, ErrorCode.FRAME_SIZE_ERROR, "a window update of a broken length")
        increment = int.from_bytes(payload, "big") & MAX_WINDOW
        self._spend(1)
        if stream_id == 0:
            _expect(increment > 0, ErrorCode.PROTOCOL_ERROR, "a window update of nothing")
            self._outbound.widen(increment)
            return
        stream = self._open(stream_id)
        if stream is None:
            return
        if not increment:
            raise StreamError(stream_id, ErrorCode.PROTOCOL_ERROR)
        stream.send_window += increment
        if stream.send_window > MAX_WINDOW:
            raise StreamError(stream_id, ErrorCode.FLOW_CONTROL_ERROR)
        self._outbound.wake(stream)

    def _on_priority(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        _expect(stream_id != 0, ErrorCode.PROTOCOL_ERROR, "a priority of the connection")
        _expect(len(payload) == 5, ErrorCode.FRAME_SIZE_ERROR, "a priority of a broken length")
        self._spend(1)

    def _on_push_promise(self, flags: int, stream_id: int, payload: bytes, events: list[Event]) -> None:
        raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a push promise from a client")

    # Used by both directions

    def _open(self, stream_id: int) -> Stream | None:
        """Return the stream, or None if it has ended; a frame on a stream that never opened ends the connection."""
        stream = self._streams.get(stream_id)
        if stream is None and (stream_id > self._last_stream_id or not stream_id % 2):
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a frame on a stream that never opened")
        return stream

    def _spend(self, cost: int) -> None:
        self._budget -= cost
        if self._budget < 0:
            raise ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, "too much work without a request")

    def _local_ended(self, stream: Stream) -> None:
        """Drop a stream that we have ended; a peer that still sends gets RST_STREAM (RFC 9113 section 8.1)."""
        self._drop(stream)
        if not stream.remote_ended:
            self._outbound.push(frames.rst_stream(stream.id, ErrorCode.NO_ERROR))

    def _reset(self, stream_id: int, code: ErrorCode, events: list[Event]) -> None:
        self._outbound.answer(frames.rst_stream(stream_id, code))
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._drop(stream, events, code)

    def _drop(self, stream: Stream, events: list[Event] | None = None, code: int = 0) -> None:
        """Forget a stream; append a `StreamReset` to `events` if the owner knows the stream."""
        known = stream.head is None
        self._inbound.forget(stream)
        self._outbound.forget(stream)
        del self._streams[stream.id]
        if events is not None and known:
            events.append(StreamReset(stream.id, code))

    def _fail(self, error: ProtocolError) -> None:
        self._failed = error
        self._buffer = b""
        for stream in list(self._streams.values()):
            self._drop(stream)
        self._outbound.push(frames.goaway(self._last_stream_id, error.code))


def _expect(held: bool, code: ErrorCode, text: str) -> None:
    if not held:
        raise ProtocolError(code, text)


_HANDLERS: dict[int, Callable[[Connection, int, int, bytes, list[Event]], None]] = {
    frames.DATA: Connection._on_data,
    frames.HEADERS: Connection._on_headers,
    frames.PRIORITY: Connection._on_priority,
    frames.RST_STREAM: Connection._on_rst_stream,
    frames.SETTINGS: Connection._on_settings,
    frames.PUSH_PROMISE: Connection._on_push_promise,
    frames.PING: Connection._on_ping,
    frames.GOAWAY: Connection._on_goaway,
    frames.WINDOW_UPDATE: Connection._on_window_update,
    frames.CONTINUATION: Connection._on_continuation,
}
