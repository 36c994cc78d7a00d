"""A bounded queue of messages in one direction of an in-process stream. When it is full, the writer waits."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

CAPACITY = 64


class PipeClosedError(Exception):
    """The reader of the pipe has closed it."""


class Pipe(Generic[T]):
    """A FIFO queue of items; `get` returns None after the end."""

    __slots__ = ("_broken", "_capacity", "_ended", "_items", "_moved")

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._items: deque[T] = deque()
        self._ended = False
        self._broken = False
        self._moved: set[asyncio.Future[None]] = set()

    async def put(self, item: T) -> None:
        """Queue an item; waits while the pipe is full.

        Raises:
            PipeClosedError: the pipe has ended or was broken.
        """
        while len(self._items) >= self._capacity and not (self._broken or self._ended):
            await self._wait()
        if self._broken or self._ended:
            raise PipeClosedError
        self._items.append(item)
        self._wake()

    def put_last(self, item: T) -> None:
        """Queue the only item of an unused pipe, and end it."""
        self._items.append(item)
        self.end()

    async def get(self) -> T | None:
        """Return the next item, or None after the end."""
        while not self._items:
            if self._ended or self._broken:
                return None
            await self._wait()
        item = self._items.popleft()
        self._wake()
        return item

    def end(self) -> None:
        """End the pipe after the queued items."""
        self._ended = True
        self._wake()

    def break_(self) -> None:
        """Drop the queued items and wake both sides."""
        self._broken = True
        self._items.clear()
        self._wake()

    async def _wait(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._moved.add(future)
        try:
            await future
        finally:
            self._moved.discard(future)

    def _wake(self) -> None:
        for future in self._moved:
            if not future.done():
                future.set_result(None)
