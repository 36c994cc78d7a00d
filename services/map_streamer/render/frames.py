"""The zstd frames that map responses consist of, and the cache of frames that several messages share.

A message is one or several concatenated frames (`zstdframe.AppendDecode` takes "zero or more frames"). Frames carry
no checksum, and no content size: with one the Go client copies everything it has decoded for each frame.

A stored frame, for text too short to be worth compressing (RFC 8878 section 3.1.1):

    28 b5 2f fd   magic
    00            frame header: no content size, no checksum, no dictionary
    58            window descriptor: 2 MiB
    b0 b1 b2      little-endian: length << 3 | raw block (0) << 1 | last block (1)
    ...           the text
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable

import zstandard

from services.map_streamer.compact_bytes import compact_copy

LEVEL = 3
_STORED_LIMIT = 24


def stored(text: bytes) -> bytes:
    """Return a stored (uncompressed) frame of a text of at most 128 KiB."""
    header = len(text) << 3 | 1
    return b"\x28\xb5\x2f\xfd\x00\x58" + header.to_bytes(3, "little") + text


class Encoder:
    """Encoder of frames. It reuses one compressor, because a new one costs six times a small message."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=False, write_content_size=False)

    def encode(self, text: bytes, *, zstd: bool) -> bytes:
        """Return the text as one frame, or unchanged without `zstd`."""
        if not zstd:
            return text
        if len(text) <= _STORED_LIMIT:
            return stored(text)
        return bytes(self._compressor.compress(text))


class Frame:
    """Bytes that several messages share; gateways keep them by id."""

    __slots__ = ("data", "id", "kept", "key")

    def __init__(self, id_: int, data: bytes, key: Hashable = None) -> None:
        self.id = id_
        self.key = key
        self.data = data
        self.kept = True
        """True while the cache has it; afterwards no message may refer to it."""


class FrameCache:
    """Cache of frames by content, bounded in bytes; the least recently used are retired first.

    Whoever made a frame retires it once a node in it has changed. No message refers to a retired frame, so gateways may
    drop it: `take_retired` returns each id once.
    """

    def __init__(self, limit: int = 32 << 20) -> None:
        self._limit = limit
        self._frames: OrderedDict[Hashable, Frame] = OrderedDict()
        self._bytes = 0
        self._next = 1
        self._retired: list[int] = []
        self.encoder = Encoder()

    def get(self, key: Hashable, pieces: Iterable[bytes], *, zstd: bool, lead: bytes = b"") -> Frame:
        """Return the frame of this content. If it is new, it is made of `lead` and `pieces`, joined by commas."""
        key = zstd, key
        frame = self._frames.get(key)
        if frame is not None:
            self._frames.move_to_end(key)
            return frame
        frame = Frame(self._next, compact_copy(self.encoder.encode(lead + b",".join(pieces), zstd=zstd)), key)
        self._next += 1
        self._frames[key] = frame
        self._bytes += len(frame.data)
        while self._bytes > self._limit and len(self._frames) > 1:
            self.retire(next(iter(self._frames.values())))
        return frame

    def retire(self, frame: Frame) -> None:
        """Remove a frame that no message will refer to again; does nothing if it was removed before."""
        if frame.kept:
            frame.kept = False
            del self._frames[frame.key]
            self._bytes -= len(frame.data)
            self._retired.append(frame.id)

    def take_retired(self) -> list[int]:
        """Return the ids of frames retired since the last call."""
        retired, self._retired = self._retired, []
        return retired

    def __len__(self) -> int:
        return len(self._frames)
