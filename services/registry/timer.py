"""The registry's only timer: runs `keeper` when a change is due (`presence` wakes it), repeats the newest record."""

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


class KeeperTimer:
    """Timer that runs the keeper when something is due. An unreachable database delays it and does not end it."""

    def __init__(self, keeper: Keeper, outbox: Outbox) -> None:
        self._keeper = keeper
        self._outbox = outbox
        self._wake = asyncio.Event()
        self._next_nudge = 0.0

    def wake(self) -> None:
        """Recompute the next due time, because something was stored."""
        self._wake.set()

    async def _nudge(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._next_nudge:
            await self._outbox.nudge()
            self._next_nudge = now + _NUDGE_EVERY

    async def run(self) -> None:
        """Run the keeper now and whenever something is due, until cancelled."""
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
