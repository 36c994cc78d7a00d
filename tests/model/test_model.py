"""Whatever happens, in whatever order, every client's netmap equals the truth."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import Tailnet

QUICK = settings(
    max_examples=12,
    stateful_step_count=30,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


def test_after_each_step_of_any_life_every_netmap_equals_a_naive_recomputation() -> None:
    run_state_machine_as_test(Tailnet, settings=QUICK)
