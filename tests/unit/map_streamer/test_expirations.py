"""When keys end, and which have ended since."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from services.map_streamer.snapshot import NodeRecord
from services.map_streamer.tailnet.expirations import Expirations, microseconds
from tests.unit.map_streamer.test_diff_and_fold import node

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def ending(node_id: int, when: datetime | None, *, expired: bool = False) -> NodeRecord:
    return msgspec.structs.replace(node(node_id), recorded_expiry=when, expiry=when, expired=expired)


def test_a_key_that_ended_is_named_to_whom_was_told_an_earlier_time() -> None:
    expirations = Expirations()
    nodes = {number: ending(number, NOW + number * SECOND) for number in (1, 2, 3)} | {4: ending(4, None)}
    for one in nodes.values():
        expirations.put(one, NOW)
    assert expirations.next == NOW + SECOND
    assert expirations.take(NOW + 2 * SECOND) == [1, 2]
    assert expirations.next == NOW + 3 * SECOND
    assert expirations.since(0, nodes) == {1, 2}
    assert expirations.since(microseconds(NOW + SECOND), nodes) == {2}
    assert expirations.since(microseconds(NOW + 2 * SECOND), nodes) == frozenset()
    assert expirations.since(0, {2: nodes[2]}) == {2}


def test_a_key_that_had_ended_before_it_was_heard_of_counts_too_and_one_cut_early_waits_for_nothing() -> None:
    expirations = Expirations()
    expirations.put(ending(1, NOW - SECOND, expired=True), NOW)
    expirations.put(ending(2, NOW + SECOND, expired=True), NOW)
    assert expirations.next is None
    assert expirations.since(0, {1: ending(1, NOW - SECOND)}) == {1}


def test_terms_of_old_are_forgotten_once_they_are_many() -> None:
    expirations, last = Expirations(), ending(1, NOW + 3000 * SECOND)
    for number in range(2000):
        expirations.put(ending(1, NOW + number * SECOND), NOW)
        expirations.forget({1: last}, NOW)
    assert len(expirations) < 1100
