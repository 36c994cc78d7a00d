"""What a change costs grows with the number of those who hear of it, not with its square: CPU against CPU, no clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.load.fleet import Fleet
from tests.bench.load.scenarios import scale_exponent
from tests.bench.load.target import Embedded

pytestmark = pytest.mark.e2e

SIZES = (60, 240)
STEEPEST = 0.5
"""Exponent of CPU per client: 0 is linear in all, 1 is quadratic. Half way, because this machine may be busy; the bound
for a quiet one and 1,000 clients is 0.15, and `make bench` shows it."""


async def test_cpu_for_each_client_stays_level_as_the_tailnet_grows(tmp_path: Path) -> None:
    server = Embedded(tmp_path)
    try:
        server.start()
        fleet = await Fleet.at(server, sampled=4)
        figures = await scale_exponent(fleet, SIZES, repeats=5)
        fleet.hang_up()
    finally:
        server.stop()
    steep = {name: value for name, value in figures.items() if name.endswith("_exponent") and value > STEEPEST}
    assert steep == {}, figures
