"""The byte layout of HTTP/2 frames. Knows no state.

Every frame (RFC 9113 section 4.1), big-endian:

    0  3  length N of the payload
    3  1  type
    4  1  flags
    5  4  stream id, top bit reserved
    9  N  payload
"""

from __future__ import annotations

import struct
from functools import lru_cache

from gateway.edge.http2.errors import ErrorCode, ProtocolError

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADER_SIZE = 9

DATA = 0x0
HEADERS = 0x1
PRIORITY = 0x2
RST_STREAM = 0x3
SETTINGS = 0x4
PUSH_PROMISE = 0x5
PING = 0x6
GOAWAY = 0x7
WINDOW_UPDATE = 0x8
CONTINUATION = 0x9

END_STREAM = 0x1
ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITY_FLAG = 0x20

SETTINGS_ENABLE_PUSH = 0x2
SETTINGS_MAX_CONCURRENT_STREAMS = 0x3
SETTINGS_INITIAL_WINDOW_SIZE = 0x4
SETTINGS_MAX_FRAME_SIZE = 0x5
SETTINGS_MAX_HEADER_LIST_SIZE = 0x6

DEFAULT_WINDOW = 65_535
DEFAULT_FRAME_SIZE = 16_384
MAX_WINDOW = (1 << 31) - 1
MAX_FRAME_SIZE = (1 << 24) - 1

_HEAD = struct.Struct(">HBBBL")
_SETTING = struct.Struct(">HL")
SETTING_SIZE = _SETTING.size
_TWO = struct.Struct(">LL")


def frame_header(length: int, kind: int, flags: int, stream_id: int) -> bytes:
    """Encode the nine bytes before a payload."""
    return _HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream_id)


@lru_cache(maxsize=256)
def data_header(length: int, stream_id: int) -> bytes:
    """Encode the header of a DATA frame without END_STREAM; cached, as one message goes to thousands of streams."""
    return frame_header(length, DATA, 0, stream_id)


def parse_header(buffer: bytes, position: int) -> tuple[int, int, int, int]:
    """Decode length, type, flags and stream id of the nine bytes at `position`."""
    high, low, kind, flags, stream_id = _HEAD.unpack_from(buffer, position)
    return high << 8 | low, kind, flags, stream_id & MAX_WINDOW


def settings(values: dict[int, int]) -> bytes:
    """Encode a SETTINGS frame."""
    payload = b"".join(_SETTING.pack(key, value) for key, value in values.items())
    return frame_header(len(payload), SETTINGS, 0, 0) + payload


def parse_settings(payload: bytes) -> list[tuple[int, int]]:
    """Decode the pairs of a SETTINGS payload.

    Raises:
        ProtocolError: the payload does not consist of whole pairs.
    """
    if len(payload) % _SETTING.size:
        raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "settings of a broken length")
    return list(_SETTING.iter_unpack(payload))


SETTINGS_ACK = frame_header(0, SETTINGS, ACK, 0)


def ping(opaque: bytes, ack: bool = False) -> bytes:
    """Encode a PING frame, or its acknowledgement."""
    return frame_header(8, PING, ACK if ack else 0, 0) + opaque


def rst_stream(stream_id: int, code: int) -> bytes:
    """Encode a RST_STREAM frame."""
    return frame_header(4, RST_STREAM, 0, stream_id) + code.to_bytes(4, "big")


def goaway(last_stream_id: int, code: int) -> bytes:
    """Encode a GOAWAY frame, without debug data, which could only leak information."""
    return frame_header(8, GOAWAY, 0, 0) + _TWO.pack(last_stream_id, code)


def window_update(stream_id: int, increment: int) -> bytes:
    """Encode a WINDOW_UPDATE frame; stream 0 is the connection."""
    return frame_header(4, WINDOW_UPDATE, 0, stream_id) + increment.to_bytes(4, "big")


def unpad(payload: bytes, flags: int) -> bytes:
    """Return the payload without its padding.

    Raises:
        ProtocolError: the padding is longer than the payload.
    """
    if not flags & PADDED:
        return payload
    if not payload:
        raise ProtocolError(ErrorCode.FRAME_SIZE_ERROR, "a padded frame without its length of padding")
    if payload[0] >= len(payload):
        raise ProtocolError(ErrorCode.PROTOCOL_ERROR, "padding longer than its frame")
    return payload[1 : len(payload) - payload[0]]
