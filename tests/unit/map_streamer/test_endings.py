"""When keys end, and which have ended since."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from services.map_streamer.snapshot import NodeRecord
from services.map_streamer.tailnet.endings import Endings, microseconds
from tests.unit.map_streamer.test_diff_and_fold import node

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def ending(node_id: int, when: datetime | None, *, expired: bool = False) -> NodeRecord:
    return msgspec.structs.replace(node(node_id), term=when, expiry=when, expired=expired)


def test_a_key_that_ended_is_named_to_whom_was_told_an_earlier_time() -> None:
    endings = Endings()
    nodes = {number: ending(number, NOW + number * SECOND) for number in (1, 2, 3)} | {4: ending(4, None)}
    for one in nodes.values():
        endings.put(one, NOW)
    assert endings.next == NOW + SECOND
    assert endings.take(NOW + 2 * SECOND) == [1, 2]
    assert endings.next == NOW + 3 * SECOND
    assert endings.since(0, nodes) == {1, 2}
    assert endings.since(microseconds(NOW + SECOND), nodes) == {2}
    assert endings.since(microseconds(NOW + 2 * SECOND), nodes) == frozenset()
    assert endings.since(0, {2: nodes[2]}) == {2}


def test_a_key_that_had_ended_before_it_was_heard_of_counts_too_and_one_cut_early_waits_for_nothing() -> None:
    endings = Endings()
    endings.put(ending(1, NOW - SECOND, expired=True), NOW)
    endings.put(ending(2, NOW + SECOND, expired=True), NOW)
    assert endings.next is None
    assert endings.since(0, {1: ending(1, NOW - SECOND)}) == {1}


def test_terms_of_old_are_forgotten_once_they_are_many() -> None:
    endings, last = Endings(), ending(1, NOW + 3000 * SECOND)
    for number in range(2000):
        endings.put(ending(1, NOW + number * SECOND), NOW)
        endings.forget({1: last}, NOW)
    assert len(endings) < 1100
