"""What a bus is: topics, messages, and the promise to say when some may be missing.

The bus is never the truth. A reader that gets `Reconnected` must ask the owner of the facts for what it missed.
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
    """Messages may have been lost before this point: the link was cut, or the reader was too slow."""


class Bus(Protocol):
    """Publish and subscribe by exact topic."""

    async def publish(self, topic: str, payload: bytes) -> None:
        """Send to all who subscribe now. Trouble is logged and counted, never raised: the log is the truth."""
        ...

    def subscribe(self, *topics: str) -> AbstractAsyncContextManager[AsyncIterator[Message | Reconnected]]:
        """Receive what is published to these topics; entering returns once the subscription is live.

        Whoever is cancelled while it waits for the next message loses none.

        When the bus is away it returns after some seconds all the same, and `Reconnected` comes once it is live:
        whoever follows a log reads it from its owner, with the bus or without.
        """
        ...

    async def close(self) -> None:
        """End all subscriptions and give back the connection."""
        ...
