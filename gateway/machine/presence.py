"""Reports the map sessions of this gateway to the registry. Owns the batches and the heartbeat; knows no client.

Sessions opened and closed within a short window are reported together. When a report fails nothing is queued: the next
one lists every session (`complete`), so memory is bounded by the sessions themselves however long the outage lasts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from gateway.clients.registry import PresenceAnswer, PresenceReport
from services.shared.background import Background
from services.shared.rpc.presence import SessionsDigest, checksum_of
from services.shared.telemetry.logs import get_logger
from services.shared.telemetry.setup import Telemetry

log = get_logger(__name__)

BATCH_WINDOW = 0.02
FIRST_WINDOW = 0.005
"""Window of the first change after silence, so that a single change is reported soon."""
HEARTBEAT = 15.0
RETRY = 1.0


class Presence:
    """Collects changes of the session table and reports them in batches."""

    def __init__(
        self,
        report: Callable[[PresenceReport], Awaitable[PresenceAnswer]],
        on_probe: Callable[[frozenset[int]], None] = lambda _nodes: None,
        *,
        window: float = BATCH_WINDOW,
        first_window: float = FIRST_WINDOW,
        heartbeat: float = HEARTBEAT,
        retry: float = RETRY,
        telemetry: Telemetry | None = None,
    ) -> None:
        """`report` sends one report; `on_probe` is called with the nodes to probe when the registry names them."""
        self._report = report
        self._on_probe = on_probe
        self._window, self._heartbeat, self._retry = window, heartbeat, retry
        self._first_window = min(first_window, window)
        self._live: dict[int, int] = {}
        self._opened: dict[int, int] = {}
        self._closed: dict[int, int] = {}
        self._lost: set[int] = set()
        self._checksum = 0
        self._compare = True
        """True: the next report carries a digest to compare, as each beat and each complete report does."""
        self._complete = True
        self._wake = asyncio.Event()
        self._background = Background(telemetry or Telemetry())
        self._draining = False

    def opened(self, session_id: int, node_id: int) -> None:
        """Add a map session that serves a node."""
        self._live[session_id] = node_id
        self._checksum += checksum_of(session_id, node_id)
        self._opened[session_id] = node_id
        self._wake.set()

    def closed(self, session_id: int, *, lost: bool = False) -> None:
        """Remove a map session that has ended; ids that were never opened are ignored."""
        if self._draining:
            return
        node_id = self._live.pop(session_id, None)
        if node_id is None:
            return
        self._checksum -= checksum_of(session_id, node_id)
        if self._opened.pop(session_id, None) is None:
            self._closed[session_id] = node_id
            if lost:
                self._lost.add(session_id)
        self._wake.set()

    def begin_drain(self) -> None:
        """Report no more closed sessions, because this gateway closes them all and their clients reconnect elsewhere.

        The grace before nodes are shown offline then begins for all of them when the gateway has stopped.
        """
        self._draining = True

    def start(self) -> None:
        """Start to report; the first report is complete."""
        self._background.keep(self._run, "presence")

    async def stop(self, deadline: float = 2.0) -> None:
        """Stop to report and send a last report, unless the registry does not answer within `deadline` seconds."""
        if not self._background:
            return
        await self._background.stop()
        last = PresenceReport(opened={}, closed=dict(self._live), stopping=True)
        try:
            async with asyncio.timeout(deadline):
                await self._report(last)
        except Exception as error:
            log.warning("presence not closed", reason=type(error).__name__)

    async def _run(self) -> None:
        now = asyncio.get_running_loop().time
        last, beat_at = float("-inf"), now()
        while True:
            await self._sleep(max(0.0, beat_at - now()))
            if self._complete or now() >= beat_at:
                self._compare, beat_at = True, now() + self._heartbeat
            # At most one report in each window; the first after quiet leaves sooner.
            await asyncio.sleep(max(self._first_window, last + self._window - now()))
            last = now()
            if not await self._send():
                await asyncio.sleep(self._retry)

    async def _sleep(self, seconds: float) -> None:
        """Wait for a change, at most `seconds`; a complete report does not wait."""
        if self._complete:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _send(self) -> bool:
        report = self._take()
        try:
            answer = await self._report(report)
        except Exception as error:
            log.warning("presence not reported", reason=type(error).__name__)
            self._lost |= report.lost
            self._complete = True
            return False
        self._complete = self._complete or answer.resend
        if answer.probe is not None:
            self._on_probe(answer.probe)
        return True

    def _take(self) -> PresenceReport:
        self._wake.clear()
        report = PresenceReport(
            opened=dict(self._live) if self._complete else self._opened,
            closed={} if self._complete else self._closed,
            complete=self._complete,
            lost=frozenset(self._lost),
            digest=SessionsDigest(len(self._live), self._checksum) if self._compare else None,
        )
        self._opened, self._closed, self._lost = {}, {}, set()
        self._complete = self._compare = False
        return report
