"""Wakes requests that missed the notification of a decided login or SSH check: one query for all, not one for each.

Notifications can be lost. Periodic reads by each of thousands of waiting requests would cost more than all other work
of an idle server.
"""

from __future__ import annotations

from itertools import islice

from services.auth.notifications import BusLoginNotifications
from services.auth.store.logins import LoginStore
from services.auth.store.ssh_checks import SshCheckStore
from services.shared.background import Background
from services.shared.db.database import DatabaseUnavailableError
from services.shared.runtime.clock import Clock
from services.shared.telemetry import get_logger

log = get_logger(__name__)

SWEEP_SECONDS = 15.0
"""Seconds between sweeps while no loss of notifications is reported."""
IDS_PER_QUERY = 500


class DecisionSweep:
    """The background task of one process."""

    def __init__(
        self,
        notifications: BusLoginNotifications,
        logins: LoginStore,
        checks: SshCheckStore,
        clock: Clock,
        background: Background,
        seconds: float | None = None,
    ) -> None:
        self._notifications = notifications
        self._logins = logins
        self._checks = checks
        self._clock = clock
        self._background = background
        self._seconds = SWEEP_SECONDS if seconds is None else seconds

    def start(self) -> None:
        """Start the sweeps."""
        self._background.keep(self._run, "auth decision sweep")

    async def stop(self) -> None:
        """Stop the sweeps."""
        await self._background.stop()

    async def sweep(self) -> int:
        """Wake every request that waits for something no longer pending. Returns how many ids were woken."""
        woken = 0
        awaited = iter(self._notifications.awaited())
        while ids := tuple(islice(awaited, IDS_PER_QUERY)):
            now = self._clock.now()
            pending = await self._logins.pending(ids, now) | await self._checks.pending(ids, now)
            for auth_id in ids:
                if auth_id not in pending:
                    self._notifications.wake(auth_id)
                    woken += 1
        return woken

    async def _run(self) -> None:
        while True:
            await self._notifications.wait_for_loss(self._seconds)
            try:
                await self.sweep()
            except DatabaseUnavailableError as error:
                log.warning("decisions not read; the next sweep reads them", reason=str(error))
