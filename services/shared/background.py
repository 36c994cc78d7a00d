"""Owns the background tasks of one part of a process: starts them, notices their failures, ends them together.

A task that fails is an ERROR in the log and a count in the metrics, never silence. Knows nothing of what tasks do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

from services.shared.telemetry.instruments import CollectorRegistry, Counter, Gauge
from services.shared.telemetry.logs import get_logger
from services.shared.telemetry.setup import Telemetry

log = get_logger(__name__)

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 30.0
"""Seconds before a failed task is started again: doubled with each failure."""
HEALTHY_SECONDS = 60.0
"""A task that ran for this long before it failed starts at the first pause again."""


class BackgroundMetrics:
    """Numbers about the background tasks of a process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.running = Gauge("smartscale_background_tasks", "Background tasks that run.", registry=registry)
        self.failures = Counter(
            "smartscale_background_failures", "Background tasks that failed, by task.", ("task",), registry=registry
        )


class Background:
    """The background tasks of one owner. Every task is named; names are few and constant, since they label a metric."""

    def __init__(self, telemetry: Telemetry, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._metrics = telemetry.once(BackgroundMetrics)
        self._sleep = sleep
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def run(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        """Run work that ends by itself. A failure is logged and counted; the returned task never raises it."""
        task = self._start(self._once(work, name), name)
        task.add_done_callback(lambda _: work.close())  # a task that is cancelled at once never starts it
        return task

    def keep(self, work: Callable[[], Awaitable[None]], name: str) -> asyncio.Task[None]:
        """Run work that must not end: after a failure it is started again, after a pause. A return ends it."""
        return self._start(self._forever(work, name), name)

    async def stop(self) -> None:
        """Cancel every task and wait until all have ended."""
        current = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not current]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        self._metrics.running.inc()
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._metrics.running.dec()

    async def _once(self, work: Coroutine[None, None, None], name: str) -> None:
        try:
            await work
        except Exception:
            self._failed(name)

    async def _forever(self, work: Callable[[], Awaitable[None]], name: str) -> None:
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE
        while True:
            began = loop.time()
            try:
                await work()
                return
            except Exception:
                self._failed(name)
            if loop.time() - began >= HEALTHY_SECONDS:
                pause = FIRST_PAUSE
            await self._sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    def _failed(self, name: str) -> None:
        self._metrics.failures.labels(name).inc()
        log.exception("background task failed", task=name)
