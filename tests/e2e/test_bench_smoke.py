"""The load generator itself: it runs against a server started as operators do, and finds a wrong netmap."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.bench.load.fleet import Fleet
from tests.bench.load.scenarios import fanout_patch, join, noop, reconnect_storm
from tests.bench.load.target import Embedded
from tests.bench.load.truth import differences

pytestmark = pytest.mark.e2e

CLIENTS = 50


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    embedded = Embedded(tmp_path_factory.mktemp("bench"))
    try:
        embedded.start()
        yield embedded
    finally:
        embedded.stop()


async def test_fifty_devices_join_move_and_come_back_with_true_netmaps(server: Embedded) -> None:
    fleet = await Fleet.at(server, sampled=5)
    await fleet.grow(CLIENTS)
    await fleet.prove()
    assert (await noop(fleet, requests=100, at_once=10))["messages_caused"] == 0
    assert (await fanout_patch(fleet, repeats=2))["messages"] == 1
    assert (await join(fleet, repeats=1))["cpu_ms"] > 0
    assert (await reconnect_storm(fleet, spread=0.1))["last_map_s"] > 0
    fleet.devices[1].endpoints = ["203.0.113.1:1"]
    assert len(differences(fleet.devices, fleet.sampled)) == len(fleet.sampled) - fleet.devices[1].sampled
    fleet.hang_up()
    assert server.faults() == []
