"""Tells the registry which map sessions this gateway holds. Owns the batches and the heartbeat; knows no client.

Opened and closed sessions are gathered for a moment and sent together. When a report fails nothing is queued: the next
one lists every session (`complete`), so the memory is bounded by the sessions themselves however long the outage.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

BATCH_WINDOW = 0.02
FIRST_WINDOW = 0.005
"""After quiet: what comes alone shall not wait long."""
HEARTBEAT = 15.0
RETRY = 1.0


@dataclass(frozen=True, slots=True)
class PresenceReport:
    """What changed since the last report; session ids with their node ids."""

    opened: Mapping[int, int]
    closed: Mapping[int, int]
    complete: bool = False
    """`opened` lists every session: the others of this gateway are over."""
    stopping: bool = False
    """This gateway stops for good."""


class Presence:
    """Collects what the session table says and sends it in batches."""

    def __init__(
        self,
        report: Callable[[PresenceReport], Awaitable[bool]],
        *,
        window: float = BATCH_WINDOW,
        first_window: float = FIRST_WINDOW,
        heartbeat: float = HEARTBEAT,
        retry: float = RETRY,
    ) -> None:
        """`report` sends one report and says whether the registry wants to hear everything anew."""
        self._report = report
        self._window, self._heartbeat, self._retry = window, heartbeat, retry
        self._first_window = min(first_window, window)
        self._live: dict[int, int] = {}
        self._opened: dict[int, int] = {}
        self._closed: dict[int, int] = {}
        self._complete = True
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._leaving = False

    def opened(self, session_id: int, node_id: int) -> None:
        """A map session serves this node now."""
        self._live[session_id] = node_id
        self._opened[session_id] = node_id
        self._wake.set()

    def closed(self, session_id: int) -> None:
        """A map session is over. Ids that were never opened are ignored."""
        if self._leaving:
            return
        node_id = self._live.pop(session_id, None)
        if node_id is None:
            return
        if self._opened.pop(session_id, None) is None:
            self._closed[session_id] = node_id
        self._wake.set()

    def leave(self) -> None:
        """This gateway lets its clients go. They come back, here or elsewhere, so nothing ends before it has stopped:
        the grace in which nobody is told of a break begins for all of them then, however long the leaving takes.
        """
        self._leaving = True

    def start(self) -> None:
        """Begin to report; the first report lists everything."""
        self._task = asyncio.create_task(self._run(), name="presence")

    async def stop(self, deadline: float = 2.0) -> None:
        """Stop reporting and say that this gateway goes, unless the registry does not listen."""
        if self._task is None:
            return
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None
        last = PresenceReport(opened={}, closed=dict(self._live), stopping=True)
        try:
            async with asyncio.timeout(deadline):
                await self._report(last)
        except Exception as error:
            log.warning("presence not closed", reason=type(error).__name__)

    async def _run(self) -> None:
        now = asyncio.get_running_loop().time
        last = float("-inf")
        while True:
            await self._sleep(self._heartbeat)
            # At most one report in each window; the first after quiet leaves sooner.
            await asyncio.sleep(max(self._first_window, last + self._window - now()))
            last = now()
            if not await self._send():
                await asyncio.sleep(self._retry)

    async def _sleep(self, seconds: float) -> None:
        """Wait for something to report, at most so long; the first and a repeated report do not wait."""
        if self._complete:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _send(self) -> bool:
        report = self._take()
        try:
            resend = await self._report(report)
        except Exception as error:
            log.warning("presence not reported", reason=type(error).__name__)
            self._complete = True
            return False
        self._complete = self._complete or resend
        return True

    def _take(self) -> PresenceReport:
        self._wake.clear()
        if self._complete:
            report = PresenceReport(opened=dict(self._live), closed={}, complete=True)
        else:
            report = PresenceReport(opened=self._opened, closed=self._closed)
        self._opened, self._closed, self._complete = {}, {}, False
        return report
