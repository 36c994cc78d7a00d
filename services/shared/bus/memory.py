"""The bus within one process: no network, the same guarantees."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.shared.bus.port import Message, Reconnected
from services.shared.bus.queue import CAPACITY, Inbox
from services.shared.telemetry.logs import get_logger
from services.shared.telemetry.propagation import current_traceparent

log = get_logger(__name__)


class MemoryBus:
    """Bus that delivers to the subscribers of this process."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._inboxes: dict[str, set[Inbox]] = {}

    async def publish(self, topic: str, payload: bytes) -> None:
        """Queue the payload for each subscriber of the topic."""
        message = Message(topic, payload, current_traceparent())
        for inbox in self._inboxes.get(topic, ()):
            if not inbox.put(message):
                log.warning("bus reader too slow, messages dropped", topic=topic)

    @asynccontextmanager
    async def subscribe(self, *topics: str) -> AsyncIterator[AsyncIterator[Message | Reconnected]]:
        """Receive the messages of these topics from now on."""
        inbox = Inbox(self._capacity)
        for topic in topics:
            self._inboxes.setdefault(topic, set()).add(inbox)
        try:
            yield inbox
        finally:
            for topic in topics:
                readers = self._inboxes.get(topic, set())
                readers.discard(inbox)
                if not readers:
                    self._inboxes.pop(topic, None)

    def interrupt(self) -> None:
        """Behave as after a lost connection: every reader loses its queue and gets `Reconnected`."""
        for inbox in {inbox for readers in self._inboxes.values() for inbox in readers}:
            inbox.lost()

    async def close(self) -> None:
        """End all subscriptions."""
        for inbox in {inbox for readers in self._inboxes.values() for inbox in readers}:
            inbox.close()
