"""The measurement of changed rights itself: each change is felt by real clients, and undone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.rights import ROUND, missing
from tests.e2e.lab import Lab
from tests.e2e.rights import Pair


def test_real_clients_feel_that_somebody_is_suspended_restored_and_changes_groups(tmp_path: Path) -> None:
    if reason := missing():
        pytest.skip(reason)
    net = Lab(tmp_path)
    pair = None
    try:
        pair = Pair(net)
        pair.start()
        # A restored peer is met again only when its neighbour's tunnel tries anew, which takes five seconds.
        felt = [name for name, change in ROUND if not name.endswith("_peer") and change(pair) >= 0]
        assert felt == ["suspended_self", "restored_self", "group_lost", "group_gained"]
        assert pair.server.faults() == []
    finally:
        if pair is not None:
            pair.close()
        net.close()
