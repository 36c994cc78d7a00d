"""Copies of encoded bytes without spare room, for long-lived caches. Knows no format."""

from __future__ import annotations


def compact_copy(text: bytes) -> bytes:
    """Return a copy that takes only the room it needs.

    orjson hands out its working buffer with the length corrected but the rest still allocated, so 430 bytes hold 8 KiB
    for as long as they live; zstandard does the same with room for the worst case. What is sent and forgotten need not
    be copied.
    """
    return bytes(memoryview(text))
