"""Background tasks: failures are seen, what must live is started again, and the owner ends everything."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest
from prometheus_client import generate_latest

from services.shared.background import FIRST_PAUSE, LONGEST_PAUSE, Background
from services.shared.telemetry.setup import Telemetry


class Pauses:
    """Sleeps that end at once and are remembered."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


def failures(telemetry: Telemetry, task: str) -> float | None:
    return telemetry.registry.get_sample_value("smartscale_background_failures_total", {"task": task})


async def fail() -> None:
    raise RuntimeError("broken")


async def test_a_failure_is_logged_and_counted_and_raised_nowhere(
    telemetry: Telemetry, caplog: pytest.LogCaptureFixture
) -> None:
    background = Background(telemetry)
    with caplog.at_level(logging.ERROR):
        await background.run(fail(), "report")
    assert failures(telemetry, "report") == 1
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert len(background) == 0


async def test_what_must_live_is_started_again_with_growing_pauses(telemetry: Telemetry) -> None:
    pauses = Pauses()
    background = Background(telemetry, pauses)
    starts = 0

    async def work() -> None:
        nonlocal starts
        starts += 1
        if starts <= 12:
            raise ValueError("again")

    await background.keep(work, "follower")
    assert starts == 13
    assert failures(telemetry, "follower") == 12
    assert pauses.seconds[:3] == [FIRST_PAUSE, FIRST_PAUSE * 2, FIRST_PAUSE * 4]
    assert pauses.seconds[-1] == LONGEST_PAUSE


async def test_stop_ends_everything_and_counts_no_failure(telemetry: Telemetry) -> None:
    background = Background(telemetry)
    ended: list[str] = []
    begun = asyncio.Barrier(3)

    async def endless(name: str) -> None:
        try:
            await begun.wait()
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(name)

    background.run(endless("one"), "one")
    background.keep(lambda: endless("two"), "two")
    await begun.wait()
    assert len(background) == 2
    await background.stop()
    assert sorted(ended) == ["one", "two"]
    assert len(background) == 0
    assert failures(telemetry, "two") is None
    assert b"smartscale_background_tasks 0.0" in generate_latest(telemetry.registry)


async def test_a_task_may_stop_its_owner(telemetry: Telemetry) -> None:
    background = Background(telemetry)
    never = asyncio.Event()

    async def wait() -> None:
        await never.wait()

    background.keep(wait, "waits")
    await background.run(background.stop(), "stops")
    assert len(background) == 0


async def test_many_owners_share_the_metrics_of_a_process(telemetry: Telemetry) -> None:
    await Background(telemetry).run(fail(), "a")
    await Background(telemetry).run(fail(), "a")
    assert failures(telemetry, "a") == 2


async def test_work_that_is_cancelled_before_it_began_leaves_no_unawaited_coroutine(
    telemetry: Telemetry, recwarn: pytest.WarningsRecorder
) -> None:
    background = Background(telemetry)
    background.run(fail(), "report").cancel()
    await background.stop()
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []
    assert failures(telemetry, "report") is None
