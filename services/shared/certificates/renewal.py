"""When a certificate is ordered: at once where there is none, again when a third of its life is left. Owns the waiting.

Replicas share a folder: the replica with its lock orders, the others read the new file.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from services.shared.background import Background
from services.shared.certificates.pairs import Leaf, PairError, check_pair
from services.shared.certificates.store import AcmeStore
from services.shared.telemetry.logs import get_logger
from services.shared.telemetry.setup import Telemetry

log = get_logger(__name__)

_LONGEST_WAIT = timedelta(hours=1)
"""Between two checks, so that a machine that slept does not miss the time."""
_OTHERS_TURN = timedelta(seconds=30)
_FIRST_RETRY, _LAST_RETRY = timedelta(minutes=1), timedelta(hours=6)
_JITTER = 0.05
"""Share of a certificate's life by which replicas and installations differ."""


class Renewal:
    """Orders by `order` and calls `issued` when there is a new certificate; both are given."""

    def __init__(
        self,
        store: AcmeStore,
        order: Callable[[], None],
        issued: Callable[[], object],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
        telemetry: Telemetry | None = None,
    ) -> None:
        """`order` blocks its thread, and raises an exception whose text is the reason when nothing was issued."""
        self._store = store
        self._order = order
        self._issued = issued
        self._now = now
        self._chance = chance
        self._early = chance()
        self._failures = 0
        self._background = Background(telemetry or Telemetry())

    def start(self) -> None:
        """Begin."""
        self._background.keep(self._run, "certificate renewal")

    async def stop(self) -> None:
        """End; an order under way is abandoned."""
        await self._background.stop()

    async def _run(self) -> None:
        while True:
            try:
                wait = await self.round()
            except Exception:
                log.exception("certificate cannot be renewed")
                wait = self._retry()
            await asyncio.sleep(wait.total_seconds())

    async def round(self) -> timedelta:
        """Order if it is time to. Returns how long to wait for the next round."""
        left = self._due() - self._now()
        if left > timedelta(0):
            return min(left, _LONGEST_WAIT)
        with self._store.lock() as ours:
            if not ours:
                return _OTHERS_TURN
            if self._due() > self._now():  # another replica was faster
                return _OTHERS_TURN
            log.info("certificate ordered", host=self._store.host)
            try:
                await _in_thread(self._order)
            except Exception as error:
                wait = self._retry()
                seconds = int(wait.total_seconds())
                log.error(
                    "no certificate was issued", host=self._store.host, reason=str(error), again_in_seconds=seconds
                )
                return wait
        self._failures = 0
        self._early = self._chance()
        self._issued()
        return min(max(self._due() - self._now(), _OTHERS_TURN), _LONGEST_WAIT)

    def _due(self) -> datetime:
        leaf = self._leaf()
        if leaf is None or leaf.self_signed or not leaf.covers(self._store.host):
            return self._now()
        life = leaf.not_after - leaf.not_before
        return leaf.not_after - life / 3 - life * (_JITTER * self._early)

    def _leaf(self) -> Leaf | None:
        try:
            return check_pair(self._store.pair, self._store.pair)
        except PairError:
            return None

    def _retry(self) -> timedelta:
        self._failures += 1
        wait: timedelta = min(_FIRST_RETRY * 2 ** min(self._failures - 1, 10), _LAST_RETRY)
        return wait * (1 + 0.2 * self._chance())


async def _in_thread(work: Callable[[], None]) -> None:
    """Run blocking work in a thread that does not hold up the end of the process."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def finish(error: BaseException | None) -> None:
        if not done.done():
            done.set_exception(error) if error is not None else done.set_result(None)

    def run() -> None:
        failure: BaseException | None = None
        try:
            work()
        except Exception as error:
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(finish, failure)

    threading.Thread(target=run, name="acme", daemon=True).start()
    await done
