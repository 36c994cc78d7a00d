"""Sweeps the audit log in the background: interrupted calls are appended, old entries removed."""

from __future__ import annotations

import asyncio

from services.auth.usecases.audit import Audit
from services.shared.background import Background
from services.shared.db.database import DatabaseUnavailableError
from services.shared.telemetry import get_logger

log = get_logger(__name__)

SECONDS = 60.0
"""Seconds between sweeps."""


class AuditSweep:
    """The sweeps of one process."""

    def __init__(self, audit: Audit, background: Background) -> None:
        self._audit = audit
        self._background = background

    def start(self) -> None:
        """Begin to sweep."""
        self._background.keep(self._run, "audit sweep")

    async def stop(self) -> None:
        """End."""
        await self._background.stop()

    async def _run(self) -> None:
        while True:
            try:
                await self._audit.sweep()
            except DatabaseUnavailableError as error:
                log.warning("audit log not swept; the next sweep does it", reason=str(error))
            await asyncio.sleep(SECONDS)
