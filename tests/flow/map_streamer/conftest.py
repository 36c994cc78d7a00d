"""A map streamer between its logs and gateways whose clients are models of real ones."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fakes.streamer import Lab, streamer_lab


@pytest.fixture
async def lab() -> AsyncIterator[Lab]:
    """A replica, its logs, and any number of gateways."""
    async with streamer_lab() as made:
        yield made
