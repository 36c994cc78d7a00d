"""The machine side of a gateway; only sockets and services are faked."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.flow.machine.scripted import Gateway


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    """All of it, started; what it began is ended with it."""
    made = Gateway()
    made.presence.start()
    made.attachment.start()
    yield made
    made.sessions.stop()
    await made.work.stop()
    await made.presence.stop()
    await made.attachment.stop()
