"""News of logins when the bus is not there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.auth import outbox
from services.auth.outbox import BusLoginNews
from services.shared.bus import Message, Reconnected
from services.shared.ids import DEFAULT_TAILNET


class AbsentBus:
    """A bus whose subscriptions never become live."""

    async def publish(self, topic: str, payload: bytes) -> None:
        """Lost."""

    @asynccontextmanager
    async def subscribe(self, *topics: str) -> AsyncIterator[AsyncIterator[Message | Reconnected]]:
        """Never entered."""
        await asyncio.Event().wait()
        raise AssertionError("an absent bus became live")
        yield

    async def close(self) -> None:
        """Nothing to close."""


async def test_auth_starts_without_the_bus_and_stops_cleanly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "BUS_PATIENCE", 0.01)
    news = BusLoginNews(AbsentBus(), DEFAULT_TAILNET)
    async with asyncio.timeout(5):
        await news.start()
        await news.stop()
