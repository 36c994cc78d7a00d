"""A map streamer ends when it is asked to, whatever happens in that moment."""

from __future__ import annotations

import asyncio

import pytest

from services.map_streamer.snapshot import Cursor
from tests.fakes.streamer import streamer_lab


@pytest.mark.parametrize("turns", range(6))
async def test_one_that_hears_news_in_the_moment_of_its_end_still_ends(turns: int) -> None:
    async with streamer_lab() as lab:
        tailnet = await lab.start()
        running = asyncio.create_task(tailnet.run())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        tailnet.add([], Cursor(tailnet.position.registry + 1, tailnet.position.policy))
        for _ in range(turns):
            await asyncio.sleep(0)
        running.cancel()
        done, _ = await asyncio.wait({running}, timeout=2)
        running.cancel()
        assert done
