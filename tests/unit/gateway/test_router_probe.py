"""Which nodes are probed, and when."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.machine.router_probe import STEPS, RouterProbe
from tests.fakes.tunnel import FakeTime, FakeWriter


@dataclass
class Session:
    writer: FakeWriter = field(default_factory=FakeWriter)


class Sessions:
    def __init__(self, *nodes: int) -> None:
        self.nodes = {node: Session() for node in nodes}

    def of_node(self, node_id: int) -> Session | None:
        return self.nodes.get(node_id)

    def probes(self, node_id: int) -> list[float]:
        return self.nodes[node_id].writer.probes


def begin(*nodes: int) -> tuple[RouterProbe, Sessions, FakeTime]:
    time, sessions = FakeTime(), Sessions(*nodes)
    return RouterProbe(sessions, time.after, 10.0, 3.0), sessions, time


def test_each_node_is_probed_once_in_an_interval_and_not_all_at_once() -> None:
    probe, sessions, time = begin(*range(1, 21))
    probe.set_nodes(frozenset(range(1, 21)))
    steps = []
    for _ in range(STEPS):
        before = sum(len(sessions.probes(node)) for node in sessions.nodes)
        time.advance(1.0)
        steps.append(sum(len(sessions.probes(node)) for node in sessions.nodes) - before)
    assert steps == [2] * STEPS
    assert all(sessions.probes(node) == [3.0] for node in sessions.nodes)


def test_only_named_nodes_with_a_session_here_are_probed_and_a_new_list_replaces_the_old() -> None:
    probe, sessions, time = begin(1, 2)
    probe.set_nodes(frozenset((1, 99)))
    time.advance(10.0)
    probe.set_nodes(frozenset((2,)))
    time.advance(10.0)
    assert (sessions.probes(1), sessions.probes(2)) == ([3.0], [3.0])


def test_without_nodes_no_timer_is_armed() -> None:
    probe, _, time = begin(1)
    probe.set_nodes(frozenset((1,)))
    probe.set_nodes(frozenset())
    time.advance(1.0)
    assert time.armed == 0
    probe.set_nodes(frozenset((1,)))
    assert time.armed == 1
    probe.stop()
    assert time.armed == 0
