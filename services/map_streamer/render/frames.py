"""zstd frames as map responses are made of, and the cache of those that several messages share.

A message is one or several concatenated frames (`zstdframe.AppendDecode` takes "zero or more frames"). Frames carry
no checksum, and no content size: with it the Go client copies all it has for each frame.

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

from services.shared.encode import exact

LEVEL = 3
_STORED_LIMIT = 24


def stored(text: bytes) -> bytes:
    """One frame that holds the text as it is; at most 128 KiB."""
    header = len(text) << 3 | 1
    return b"\x28\xb5\x2f\xfd\x00\x58" + header.to_bytes(3, "little") + text


class Encoder:
    """Makes frames; keeps its compressor, as a new one costs six times a small message."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, write_checksum=False, write_content_size=False)

    def encode(self, text: bytes, *, zstd: bool) -> bytes:
        """The text in one frame, or as it is."""
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
        """Whether the cache still has it; one that it has not must not be named any more."""


class FrameCache:
    """Frames by content. Those that will not be named any more are retired, which `take_retired` tells once.

    What changed in a frame is known by whoever made it, who retires it; beside that the cache is bounded by bytes, and
    the longest unused go first.
    """

    def __init__(self, limit: int = 32 << 20) -> None:
        self._limit = limit
        self._frames: OrderedDict[Hashable, Frame] = OrderedDict()
        self._bytes = 0
        self._next = 1
        self._retired: list[int] = []
        self.encoder = Encoder()

    def get(self, key: Hashable, pieces: Iterable[bytes], *, zstd: bool, lead: bytes = b"") -> Frame:
        """The frame of this content; when it must be made, `pieces` are joined by commas behind `lead`."""
        key = zstd, key
        frame = self._frames.get(key)
        if frame is not None:
            self._frames.move_to_end(key)
            return frame
        frame = Frame(self._next, exact(self.encoder.encode(lead + b",".join(pieces), zstd=zstd)), key)
        self._next += 1
        self._frames[key] = frame
        self._bytes += len(frame.data)
        while self._bytes > self._limit and len(self._frames) > 1:
            self.retire(next(iter(self._frames.values())))
        return frame

    def retire(self, frame: Frame) -> None:
        """Let go of a frame that will not be named any more; harmless when said before."""
        if frame.kept:
            frame.kept = False
            del self._frames[frame.key]
            self._bytes -= len(frame.data)
            self._retired.append(frame.id)

    def take_retired(self) -> list[int]:
        """Ids of frames that will not be named again, since the last call."""
        retired, self._retired = self._retired, []
        return retired

    def __len__(self) -> int:
        return len(self._frames)
