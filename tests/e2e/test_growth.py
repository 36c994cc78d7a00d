"""What a change costs grows with the number of those who hear of it, not with its square: CPU against CPU, no clock."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.bench.load.fleet import Fleet
from tests.bench.load.growth import Growth
from tests.bench.load.target import Embedded

pytestmark = pytest.mark.e2e

SIZES = (60, 360)
STEEPEST = {"fanout": -0.35, "join": -0.35, "storm": 0.15}
"""Exponents of CPU per client: 0 is linear in all, 1 is quadratic; the bound at 1,000 clients is 0.15. Two are below
nothing because a change has a cost that does not depend on how many hear of it, and a cost for each pair hides beneath
that. On busy machines they were -0.54 to -0.68, -0.53 to -0.82 and -0.12 to 0.08. What makes the fixed part much
smaller raises the first two, and then their bound may follow."""
TURNS, MORE_TURNS = 2, 4


async def test_cpu_for_each_client_stays_level_as_the_tailnet_grows(tmp_path: Path) -> None:
    servers = {size: Embedded(_folder(tmp_path, size)) for size in SIZES}
    try:
        await asyncio.gather(*(asyncio.to_thread(server.start) for server in servers.values()))
        fleets = {size: await Fleet.at(server, sampled=4) for size, server in servers.items()}
        for size, fleet in fleets.items():
            await fleet.grow(size)
        growth = Growth(fleets)
        for turn in range(TURNS + MORE_TURNS):
            await growth.turn()
            if turn + 1 >= TURNS and not growth.steep(STEEPEST):
                break
        for fleet in fleets.values():
            fleet.hang_up()
    finally:
        for server in servers.values():
            server.stop()
    assert growth.steep(STEEPEST) == [], (growth.exponents(), growth.least)


def _folder(parent: Path, size: int) -> Path:
    folder = parent / str(size)
    folder.mkdir()
    return folder
