"""Whatever happens, in whatever order, every client's netmap equals the truth."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.device import Manner
from tests.model.machine import Tailnet
from tests.model.world import World

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


def test_a_device_that_nobody_let_in_anew_is_where_it_was_until_that_connection_is_lost() -> None:
    world = World(1)
    try:
        stays, roams = world.join(1, Manner()), world.join(1, Manner())
        world.wait(1.0)
        world.lose_streamer(0)
        world.lose_streamer(1)
        world.do(roams.roam)
        world.wait(0.01)
        world.do(roams.go)
        world.settle()
        assert (world.node(stays).online, world.node(roams).online) == (True, False)
    finally:
        world.close()


def test_a_map_of_more_bytes_than_the_cache_of_frames_keeps_is_served_all_the_same() -> None:
    world = World(2, frame_bytes=2000)
    try:
        for number in range(70):
            world.join(1, Manner(zstd=number % 2 == 0))
        world.wait(5.0)
        world.settle()
    finally:
        world.close()


def test_a_key_that_ends_while_no_map_streamer_lives_is_told_by_the_next_one() -> None:
    world = World(3)
    try:
        world.join(1, Manner())
        ends = world.join(1, Manner())
        world.wait(1.0)
        world.expire_in(ends, 0.5)
        world.wait(0.2)
        world.lose_streamer(0)
        world.lose_streamer(1)
        world.wait(1.0)
        world.settle()
    finally:
        world.close()
