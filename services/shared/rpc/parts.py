"""Cuts a long sequence into parts that each fit into one message. Bounds are the caller's; knows no message type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

MAX_PART_ITEMS = 500
MAX_PART_BYTES = 1 << 20
"""Well below gRPC's customary limit of 4 MiB per message, which clients outside our control keep."""


def parts(
    items: Iterable[T], size: Callable[[T], int], max_items: int = MAX_PART_ITEMS, max_bytes: int = MAX_PART_BYTES
) -> Iterator[list[T]]:
    """Yield consecutive items in lists of at most `max_items` items and `max_bytes` bytes.

    `size` gives an item's encoded size in bytes. An item that alone exceeds `max_bytes` is a part of its own. Reads
    `items` only as far as the next part needs.
    """
    part: list[T] = []
    total = 0
    for item in items:
        length = size(item)
        if part and (total + length > max_bytes or len(part) >= max_items):
            yield part
            part, total = [], 0
        part.append(item)
        total += length
    if part:
        yield part
