"""Runs requests of `register`, `map` and `ssh` that wait for a service, each as a task; bounds their number.

Not a `Background`, which would cost each request a second coroutine and two updates of a metric; a request that fails
is an error in the log and counted with the background tasks all the same.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import partial

from gateway.exchange import Responder
from gateway.machine.refusal import OVERLOADED, UNAVAILABLE, refuse
from services.shared.background import BackgroundMetrics
from services.shared.keys import MachineKey
from services.shared.telemetry.logs import get_logger
from services.shared.telemetry.setup import Telemetry

log = get_logger(__name__)

MAX_AT_ONCE = 16_384
MAX_PER_MACHINE = 16
"""A client has one Followup, one register and one report in flight, plus leftovers of lost connections."""


class InFlight:
    """Runs each request as a task that is cancelled when its client goes."""

    def __init__(
        self,
        max_at_once: int = MAX_AT_ONCE,
        max_per_machine: int = MAX_PER_MACHINE,
        telemetry: Telemetry | None = None,
    ) -> None:
        self._metrics = (telemetry or Telemetry()).once(BackgroundMetrics)
        self._max_at_once, self._max_per_machine = max_at_once, max_per_machine
        self._tasks: set[asyncio.Task[None]] = set()
        self._per_machine: Counter[MachineKey] = Counter()

    def __len__(self) -> int:
        return len(self._tasks)

    def run(self, machine: MachineKey, responder: Responder, begin: Callable[[], Coroutine[None, None, None]]) -> None:
        """Start a request, or refuse it if too many are in flight. Does nothing if the client has gone."""
        if responder.closed:
            return
        if len(self._tasks) >= self._max_at_once or self._per_machine[machine] >= self._max_per_machine:
            refuse(responder, OVERLOADED)
            return
        task = asyncio.create_task(self._guard(responder, begin))
        self._tasks.add(task)
        self._per_machine[machine] += 1
        task.add_done_callback(partial(self._done, machine))
        responder.on_closed(partial(_cancel, task))

    async def stop(self) -> None:
        """Cancel all requests and wait for them."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _guard(self, responder: Responder, begin: Callable[[], Coroutine[None, None, None]]) -> None:
        try:
            await begin()
        except Exception:
            self._metrics.failures.labels("request").inc()
            log.exception("request failed")
            refuse(responder, UNAVAILABLE)

    def _done(self, machine: MachineKey, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._per_machine[machine] -= 1
        if not self._per_machine[machine]:
            del self._per_machine[machine]


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
