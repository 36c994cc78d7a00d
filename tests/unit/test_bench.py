"""The judges of the benches: they see what is wrong, and say what a figure is worth."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from services.shared.telemetry.logs import TextFormatter
from tests.bench.chaos import compare
from tests.bench.figures import GOALS, results
from tests.bench.load.scenarios import slope
from tests.bench.load.target import faults_of
from tests.bench.plots import bars, lines
from tests.bench.policy import PLAIN, measure, steep

KEY = "nodekey:aa"
NODES = {
    "bench-0": {"nodeKey": KEY, "givenName": "bench-0", "ipAddresses": ["100.64.0.2", "fd7a::2"]},
    "one": {"nodeKey": "nodekey:bb", "givenName": "one", "ipAddresses": ["100.64.0.1", "fd7a::1"]},
}
SAID = {KEY: {"endpoints": ["192.0.2.1:1"], "disco": "discokey:cc", "online": True}}
PEER = {
    "Key": KEY, "Name": "bench-0.tail.test.", "Addresses": ["100.64.0.2/32", "fd7a::2/128"],
    "Endpoints": ["192.0.2.1:1"], "DiscoKey": "discokey:cc", "Online": True,
}  # fmt: skip


def test_a_netmap_as_the_devices_said_is_right() -> None:
    assert compare([PEER], NODES, SAID, "one") == []


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"Endpoints": ["192.0.2.9:9"]}, "endpoints"),
        ({"DiscoKey": "discokey:dd"}, "disco"),
        ({"Online": False}, "offline"),
        ({"Name": "other.tail.test."}, "called"),
        ({"Addresses": ["100.64.0.9/32"]}, "addresses"),
        ({"Key": "nodekey:ee"}, "lacks"),
    ],
)
def test_each_difference_is_found(change: dict[str, Any], word: str) -> None:
    assert word in " ".join(compare([{**PEER, **change}], NODES, SAID, "one"))


def test_a_device_that_the_registry_lost_is_found() -> None:
    assert compare([], {"one": NODES["one"]}, SAID, "one") == ["the registry lacks 1 devices"]


def test_a_square_has_the_exponent_two_and_what_stays_level_none() -> None:
    assert slope([(60, 3600), (240, 57600)]) == pytest.approx(2)
    assert slope([(60, 7), (240, 7)]) == pytest.approx(0)


def test_a_square_among_the_steps_of_a_policy_is_called_steep_and_what_is_linear_is_not() -> None:
    work = {
        size: {
            PLAIN: lambda size=size: sum(range(size * 100)),
            "linear": lambda size=size: sum(range(size * 200)),
            "square": lambda size=size: sum(range(size * size)),
        }
        for size in (100, 1000)
    }
    assert steep(measure(work, turns=3)) == ["square"]


def test_a_machine_that_gets_slower_with_size_excuses_little() -> None:
    slow = {PLAIN: {1000: 1.0, 10000: 15.0}, "linear": {1000: 1.0, 10000: 15.0}, "more": {1000: 1.0, 10000: 20.0}}
    assert steep(slow) == ["more"]
    assert steep(slow | {PLAIN: {1000: 1.0, 10000: 10.0}}) == ["linear", "more"]


def test_the_table_holds_the_spread_and_the_share_of_the_target() -> None:
    goal = GOALS[0]
    found = {"embedded": {goal.scenario: {goal.key: 30.0, f"{goal.key}_min": 29.0, f"{goal.key}_max": 33.0}}}
    row = next(line for line in results(found, {}).splitlines() if goal.what in line)
    assert "30 ms (29 to 33) | 2.00" in row


def test_a_run_with_a_wrong_netmap_is_named() -> None:
    assert "Failed: stack: join." in results({"stack": {"join": {"wrong": 1.0}}}, {})


def test_plots_are_well_formed() -> None:
    from xml.etree import ElementTree

    ElementTree.fromstring(bars("a < b", [("row", {"x": 0.5, "y": 3.0})], ("x", "y")))
    ElementTree.fromstring(lines("c", "n", "us", {"x": [(100, 1.0), (1000, 20.0)]}))


def test_faults_are_found_in_a_log_as_servers_write_it(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with log.open("w") as stream:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(TextFormatter())
        for level, event in ((logging.WARNING, "an ERROR of a client"), (logging.ERROR, "fan-out failed")):
            handler.emit(logging.LogRecord("x", level, "", 0, event, None, None))
    (fault,) = faults_of(log)
    assert "fan-out failed" in fault
