"""Frames each message that goes into a map session (length, then bytes), and the constant keep-alives. Does no I/O.

    0  4  length of the message, uint32 little-endian (the only little-endian number of the whole stack)
    4  L  one MapResponse: plain JSON, or one zstd frame of it

A client remembers the compressed bytes of exactly `{"KeepAlive":true}` and skips decoding when they repeat, so they
are constants.
"""

from __future__ import annotations

from collections.abc import Sequence

INTERVAL = 50.0
JITTER = 9.0
"""Seconds. Clients give up after 120 s of silence; the hosted service sends after 50 s and up to 9 s more."""

_TEXT = b'{"KeepAlive":true}'
_ZSTD = bytes.fromhex("28b52ffd2012910000") + _TEXT


def length_prefix(length: int) -> bytes:
    """Encode the four bytes before a message."""
    return length.to_bytes(4, "little")


def framed(parts: Sequence[bytes]) -> list[bytes]:
    """Return the buffers of one message: its length, then its parts, which are not copied."""
    return [length_prefix(sum(map(len, parts))), *parts]


PLAIN_KEEPALIVE = length_prefix(len(_TEXT)) + _TEXT
ZSTD_KEEPALIVE = length_prefix(len(_ZSTD)) + _ZSTD
