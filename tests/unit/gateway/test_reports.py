"""When a repeated report needs no call, and when it does."""

from __future__ import annotations

from gateway.machine.reports import LastReports, Report, digest_of
from services.shared.keys import MachineKey, NodeKey

MACHINE = MachineKey(b"\1" * 32)
NODE = NodeKey(b"\2" * 32)
HERE, THERE = digest_of(b"here"), digest_of(b"there")


def test_the_same_words_over_the_same_tunnel_are_a_repetition() -> None:
    last = LastReports()
    last.accepted(MACHINE, NODE, Report(1, HERE, order=1))
    assert last.is_repeat(MACHINE, NODE, 1, HERE)
    assert not last.is_repeat(MACHINE, NODE, 1, THERE)


def test_the_same_words_over_another_tunnel_are_not_for_something_newer_may_have_gone_elsewhere() -> None:
    last = LastReports()
    last.accepted(MACHINE, NODE, Report(1, HERE, order=1))
    assert not last.is_repeat(MACHINE, NODE, 2, HERE)


def test_another_machine_never_profits_from_the_report_of_a_node() -> None:
    last = LastReports()
    last.accepted(MACHINE, NODE, Report(1, HERE, order=1))
    assert not last.is_repeat(MachineKey(b"\3" * 32), NODE, 1, HERE)


def test_an_answer_that_comes_late_does_not_replace_a_later_report() -> None:
    last = LastReports()
    last.accepted(MACHINE, NODE, Report(1, THERE, order=2))
    last.accepted(MACHINE, NODE, Report(1, HERE, order=1))
    assert last.is_repeat(MACHINE, NODE, 1, THERE)


def test_a_forgotten_node_repeats_nothing() -> None:
    last = LastReports()
    last.accepted(MACHINE, NODE, Report(1, HERE, order=1))
    last.forget(MACHINE, NODE)
    assert not last.is_repeat(MACHINE, NODE, 1, HERE)


def test_the_memory_is_bounded() -> None:
    last = LastReports(capacity=10)
    for number in range(100):
        last.accepted(MACHINE, NodeKey(number.to_bytes(32, "big")), Report(1, HERE, order=number))
    assert len(last) == 10
