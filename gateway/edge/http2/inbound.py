"""The receiving half of a connection: header blocks over several frames, bodies, and the windows granted to the peer.

Bodies are small and bounded, so a window is restored as soon as its bytes have arrived.
"""

from __future__ import annotations

from hpack import Decoder

from gateway.edge.http2 import frames
from gateway.edge.http2.errors import ErrorCode, ProtocolError, StreamError
from gateway.edge.http2.events import Event, RequestReceived, RequestRefused
from gateway.edge.http2.frames import DEFAULT_WINDOW
from gateway.edge.http2.headers import Headers, RequestHead, decode_block, list_size, parse_request
from gateway.edge.http2.limits import HARD_HEADER_LIST, Limits
from gateway.edge.http2.outbound import Outbound
from gateway.edge.http2.stream import Stream

HEADER_TOO_LARGE = 431
BODY_TOO_LARGE = 413


class _Entries(list[tuple[bytes, bytes]]):
    """The dynamic table of a decoder, newest first. The deque that hpack uses takes 600 bytes when empty."""

    __slots__ = ()

    def appendleft(self, entry: tuple[bytes, bytes]) -> None:
        self.insert(0, entry)


class HeaderBlock:
    """A header block whose last fragment has not arrived."""

    __slots__ = ("continuations", "end_stream", "fragments", "size", "stream_id")

    def __init__(self, stream_id: int, end_stream: bool) -> None:
        self.stream_id = stream_id
        self.end_stream = end_stream
        self.fragments: list[bytes] = []
        self.size = 0
        self.continuations = -1

    def add(self, fragment: bytes, limits: Limits) -> None:
        """Add a fragment.

        Raises:
            ProtocolError: the block is too long, or has too many fragments.
        """
        self.fragments.append(fragment)
        self.size += len(fragment)
        self.continuations += 1
        if self.size > limits.max_header_block or self.continuations > limits.max_continuations:
            raise ProtocolError(ErrorCode.ENHANCE_YOUR_CALM, "a header block that is too long")


class Inbound:
    """The receiving half of a connection."""

    __slots__ = ("_block", "_decoder", "_limits", "_outbound", "buffered", "window")

    def __init__(self, limits: Limits, outbound: Outbound) -> None:
        self._limits = limits
        self._outbound = outbound
        self._decoder: Decoder | None = None
        self._block: HeaderBlock | None = None
        self.window = DEFAULT_WINDOW
        self.buffered = 0
        """Bytes of incomplete bodies."""

    def interrupted_by(self, kind: int, stream_id: int) -> bool:
        """Return whether a header block is open that this frame does not continue."""
        block = self._block
        return block is not None and (kind != frames.CONTINUATION or stream_id != block.stream_id)

    def begin_block(self, flags: int, stream_id: int, payload: bytes) -> HeaderBlock | None:
        """Process a HEADERS frame. Returns the block if it is complete.

        Raises:
            ProtocolError: a client may not send this frame.
        """
        if not stream_id % 2:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "headers on a stream no client may open")
        fragment = frames.unpad(payload, flags)
        if flags & frames.PRIORITY_FLAG:
            if len(fragment) < 5:
                raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "headers too short for their priority")
            fragment = fragment[5:]
        self._block = HeaderBlock(stream_id, bool(flags & frames.END_STREAM))
        return self.continue_block(flags, fragment)

    def continue_block(self, flags: int, fragment: bytes) -> HeaderBlock | None:
        """Process the next fragment. Returns the block if it is complete.

        Raises:
            ProtocolError: no block is open, or it is too long.
        """
        block = self._block
        if block is None:
            raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "a continuation of nothing")
        block.add(fragment, self._limits)
        if not flags & frames.END_HEADERS:
            return None
        self._block = None
        return block

    def decode(self, block: HeaderBlock) -> Headers:
        """Decode a whole block; must happen for every block, in order, also for streams that are refused."""
        if self._decoder is None:
            self._decoder = Decoder(HARD_HEADER_LIST)
            self._decoder.header_table.dynamic_entries = _Entries()  # type: ignore[assignment]  # all that is used
        return decode_block(self._decoder, b"".join(block.fragments))

    def read_head(self, headers: Headers) -> RequestHead | None:
        """Parse the head of a request. Returns None if its header list is too long.

        Raises:
            MalformedRequestError: it is not a request.
        """
        return None if list_size(headers) > self._limits.max_header_list else parse_request(headers)

    def opened(self, stream: Stream, events: list[Event]) -> None:
        """Refuse a stream whose request is too large, or hand it over if its head is all of it."""
        if stream.head is None:
            self.refuse(stream, HEADER_TOO_LARGE, events)
            return
        if self._limits.body_limit is not None and not stream.remote_ended:
            stream.max_body = self._limits.body_limit(stream.head.target)
        if (stream.head.content_length or 0) > self._most(stream):
            self.refuse(stream, BODY_TOO_LARGE, events)
        elif stream.remote_ended:
            self.complete(stream, events)

    def _most(self, stream: Stream) -> int:
        return max(stream.max_body, self._limits.max_body)

    def account(self, size: int) -> None:
        """Count a DATA payload, with its padding, against the connection's window, and restore the window.

        Raises:
            ProtocolError: the peer sent more than its window.
        """
        self.window -= size
        if self.window < 0:
            raise ProtocolError(ErrorCode.FLOW_CONTROL_ERROR, "more data than the connection window")
        if self.window < DEFAULT_WINDOW // 2:
            self._outbound.answer(frames.window_update(0, DEFAULT_WINDOW - self.window))
            self.window = DEFAULT_WINDOW

    def data(self, stream: Stream, size: int, data: bytes, events: list[Event]) -> None:
        """Process a DATA payload of a stream; `size` includes its padding.

        Raises:
            StreamError: it exceeds the stream's window or the announced length.
        """
        stream.receive_window -= size
        if stream.receive_window < 0:
            raise StreamError(stream.id, ErrorCode.FLOW_CONTROL_ERROR)
        if stream.refused or stream.head is None:
            return
        stream.received += len(data)
        stream.progress += len(data)
        announced = stream.head.content_length
        if announced is not None and stream.received > announced:
            raise StreamError(stream.id, ErrorCode.PROTOCOL_ERROR)
        if stream.received > self._most(stream):
            self.refuse(stream, BODY_TOO_LARGE, events)
            return
        stream.body += data
        if not stream.max_body:
            self.buffered += len(data)
        if self.buffered > self._limits.max_buffered_bodies:
            raise StreamError(stream.id, ErrorCode.ENHANCE_YOUR_CALM)
        if not stream.remote_ended and stream.receive_window < DEFAULT_WINDOW // 2:
            self._outbound.answer(frames.window_update(stream.id, DEFAULT_WINDOW - stream.receive_window))
            stream.receive_window = DEFAULT_WINDOW

    def complete(self, stream: Stream, events: list[Event]) -> None:
        """Hand over a request whose last byte has arrived.

        Raises:
            StreamError: its body is shorter than announced.
        """
        head = stream.head
        if head is None:
            return
        if head.content_length is not None and head.content_length != stream.received:
            raise StreamError(stream.id, ErrorCode.PROTOCOL_ERROR)
        body = bytes(stream.body)
        self.forget(stream)
        events.append(RequestReceived(stream.id, head.method, head.target, head.authority, head.headers, body))

    def refuse(self, stream: Stream, status: int, events: list[Event]) -> None:
        """Ask the owner for an answer with `status`; further data of the stream is ignored."""
        stream.refused = True
        self.forget(stream)
        events.append(RequestRefused(stream.id, status))

    def forget(self, stream: Stream) -> None:
        """Free the body of a request that was handed over, refused or reset."""
        if not stream.max_body:
            self.buffered -= len(stream.body)
        stream.body = bytearray()
        stream.head = None
