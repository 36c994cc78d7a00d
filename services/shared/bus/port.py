"""The interface of a bus: topics, messages, and the guarantee to signal a gap.

The bus is no source of truth. A reader that gets `Reconnected` must fetch missed changes from the owner of the log.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One published payload; `traceparent` (W3C) is empty where the publisher traced nothing."""

    topic: str
    payload: bytes
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Reconnected:
    """Marker of a gap: earlier messages may be lost, by a disconnection or a slow reader."""


class Bus(Protocol):
    """Publish and subscribe by exact topic."""

    async def publish(self, topic: str, payload: bytes) -> None:
        """Send to the current subscribers. Failures are logged and counted, never raised: the log is authoritative."""
        ...

    def subscribe(self, *topics: str) -> AbstractAsyncContextManager[AsyncIterator[Message | Reconnected]]:
        """Receive the messages of these topics; entering returns once the subscription is live.

        Cancellation of the wait for the next message loses no message.

        If the bus is unavailable, entering still returns after some seconds, and `Reconnected` follows once it is
        live: a reader of a log gets it from its owner, with or without the bus.
        """
        ...

    async def close(self) -> None:
        """End all subscriptions and close the connection."""
        ...
