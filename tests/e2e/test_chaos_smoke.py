"""Real clients among simulated ones while parts of the stack end: the ten minutes of `make chaos` in a few seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.chaos import Chaos, missing

pytestmark = pytest.mark.e2e


def test_netmaps_of_real_and_simulated_clients_equal_the_truth_after_parts_of_the_stack_ended(tmp_path: Path) -> None:
    if reason := missing():
        pytest.skip(reason)
    chaos = Chaos(tmp_path, devices=25, seconds=6.0, rate=10.0, trouble=("map-streamer-1", "gateway-2"))
    try:
        chaos.run()
        assert chaos.wrong == []
    finally:
        chaos.close()
