"""The bounded queue between the bus and one reader. On overflow it is emptied, and the reader gets `Reconnected`."""

from __future__ import annotations

import asyncio
from collections import deque

from services.shared.bus.port import Message, Reconnected

CAPACITY = 1024


class Inbox:
    """Queued messages of one reader; on overflow `Reconnected` replaces them."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._items: deque[Message | Reconnected] = deque()
        self._ready = asyncio.Event()
        self._closed = False

    def put(self, message: Message) -> bool:
        """Queue a message. Returns False if the queue overflowed and was emptied."""
        if len(self._items) >= self._capacity:
            self.lost()
            return False
        self._items.append(message)
        self._ready.set()
        return True

    def lost(self) -> None:
        """Replace all queued messages by one `Reconnected`."""
        self._items.clear()
        self._items.append(Reconnected())
        self._ready.set()

    def close(self) -> None:
        """End the reader's iteration after the queued messages."""
        self._closed = True
        self._ready.set()

    def __aiter__(self) -> Inbox:
        return self

    async def __anext__(self) -> Message | Reconnected:
        while not self._items:
            if self._closed:
                raise StopAsyncIteration
            self._ready.clear()
            await self._ready.wait()
        return self._items.popleft()
