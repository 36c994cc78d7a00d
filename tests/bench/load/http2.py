"""The little of HTTP/2 that a generator needs as a client: stateless request heads, responses read frame by frame.

The windows are opened once and for all, so no WINDOW_UPDATE is due; a device with a small window refills it with
each frame that it reads. PING and SETTINGS are answered.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import hpack

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32
WIDE = (1 << 31) - 1
DEFAULT = 65535
_HEAD = struct.Struct(">HBBBI")


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    size = len(payload)
    return _HEAD.pack(size >> 8, size & 255, kind, flags, stream) + payload


def preface(window: int) -> bytes:
    """What a client says first; `window` is each stream's, the connection's is wide in any case."""
    settings = struct.pack(">HIHI", 2, 0, 4, window)
    wide = frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WIDE - DEFAULT)) if window > DEFAULT else b""
    return b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0, settings) + wide


def request(stream: int, path: bytes, authority: bytes, body: bytes) -> bytes:
    """A whole POST; names from the static table, values as literals that are not indexed."""
    length = b"%d" % len(body)
    block = b"\x83\x86\x04%c%b\x01%c%b\x0f\x0d%c%b" % (
        len(path), path, len(authority), authority, len(length), length,
    )  # fmt: skip
    head = frame(HEADERS, END_HEADERS, stream, block)
    cuts = [body[at : at + 16384] for at in range(0, len(body), 16384)] or [b""]
    last = len(cuts) - 1
    return head + b"".join(frame(DATA, END_STREAM if n == last else 0, stream, cut) for n, cut in enumerate(cuts))


class Reader:
    """Cuts plaintext into frames and tells what they say."""

    __slots__ = ("_block", "_buffer", "_data", "_decoder", "_ended", "_refill", "_status", "going_away", "reply")

    def __init__(
        self,
        status: Callable[[int, int], None],
        data: Callable[[int, bytes], None],
        ended: Callable[[int, bool], None],
        *,
        refill: bool = False,
    ) -> None:
        """`status(stream, code)`, `data(stream, bytes)`, `ended(stream, whole)`."""
        self._status, self._data, self._ended, self._refill = status, data, ended, refill
        self._buffer = b""
        self._block = b""
        self._decoder: hpack.Decoder | None = None
        self.reply = b""
        """Frames that must be sent back."""
        self.going_away = False

    def receive(self, plain: bytes) -> None:
        """Take plaintext."""
        buffer = self._buffer + plain if self._buffer else plain
        at, size = 0, len(buffer)
        while size - at >= 9:
            high, low, kind, flags, stream = _HEAD.unpack_from(buffer, at)
            end = at + 9 + (high << 8 | low)
            if end > size:
                break
            self._take(kind, flags, stream, buffer[at + 9 : end])
            at = end
        self._buffer = buffer[at:]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == DATA:
            if self._refill and payload:
                size = struct.pack(">I", len(payload))
                self.reply += frame(WINDOW_UPDATE, 0, 0, size) + frame(WINDOW_UPDATE, 0, stream, size)
            if flags & PADDED:
                payload = payload[1 : len(payload) - payload[0]]
            if payload:
                self._data(stream, payload)
            if flags & END_STREAM:
                self._ended(stream, True)
        elif kind in (HEADERS, CONTINUATION):
            self._head(kind, flags, stream, payload)
        elif kind == SETTINGS and not flags & ACK:
            self.reply += frame(SETTINGS, ACK, 0)
        elif kind == PING and not flags & ACK:
            self.reply += frame(PING, ACK, 0, payload)
        elif kind == RST_STREAM:
            self._ended(stream, False)
        elif kind == GOAWAY:
            self.going_away = True

    def _head(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == HEADERS:
            start = (1 if flags & PADDED else 0) + (5 if flags & PRIORITY else 0)
            payload = payload[start : len(payload) - payload[0]] if flags & PADDED else payload[start:]
        self._block += payload
        if flags & END_HEADERS:
            if self._decoder is None:
                self._decoder = hpack.Decoder()
            fields = self._decoder.decode(self._block, raw=True)
            self._block = b""
            self._status(stream, int(next(value for name, value in fields if name == b":status")))
        if kind == HEADERS and flags & END_STREAM:
            self._ended(stream, True)
