"""The one timer of the registry: calls the keeper when something is due, and the outbox's nudge now and then."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from services.registry.model.errors import UnavailableError
from services.registry.outbox import Outbox
from services.registry.usecases.keeper import LONGEST_WAIT, Keeper
from services.shared.telemetry import get_logger

log = get_logger(__name__)

_SHORTEST = timedelta(milliseconds=20)
_NUDGE_EVERY = 15.0


class Timer:
    """Runs until stopped; trouble with the database delays it and ends nothing."""

    def __init__(self, keeper: Keeper, outbox: Outbox) -> None:
        self._keeper = keeper
        self._outbox = outbox
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._next_nudge = 0.0

    def start(self) -> None:
        """Begin; the first look is at once."""
        self._task = asyncio.create_task(self._run(), name="registry timer")

    async def stop(self) -> None:
        """End."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def something_due(self) -> None:
        """Look again, since there is a new thing to wait for."""
        self._wake.set()

    async def _nudge(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._next_nudge:
            await self._outbox.nudge()
            self._next_nudge = now + _NUDGE_EVERY

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                wait = await self._keeper.act()
                await self._nudge()
            except UnavailableError as error:
                log.warning("registry timer waits for the database", reason=str(error))
                wait = LONGEST_WAIT
            try:
                async with asyncio.timeout(max(_SHORTEST, wait).total_seconds()):
                    await self._wake.wait()
            except TimeoutError:
                continue
