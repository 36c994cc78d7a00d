"""Applies recorded rights changes that a crash or an outage of the registry left unapplied. One task per instance."""

from __future__ import annotations

import asyncio

from services.auth.model.errors import AuthError
from services.auth.usecases.change_rights import ChangeRights
from services.shared.background import Background
from services.shared.db.database import DatabaseUnavailableError
from services.shared.telemetry import get_logger

log = get_logger(__name__)

IDLE_SECONDS = 5.0
"""Seconds between queries while none are left."""
RETRY_SECONDS = 1.0
"""Seconds between attempts while some are left."""


class RightsRecovery:
    """The background task."""

    def __init__(self, rights: ChangeRights, background: Background) -> None:
        self._rights = rights
        self._background = background

    def start(self) -> None:
        """Start; the first query is at once."""
        self._background.keep(self._run, "auth rights recovery")

    async def stop(self) -> None:
        """Stop."""
        await self._background.stop()

    async def _run(self) -> None:
        while True:
            try:
                left = await self._rights.resume()
            except (AuthError, DatabaseUnavailableError) as error:
                log.warning("rights changes postponed", reason=str(error))
                left = 1
            await asyncio.sleep(RETRY_SECONDS if left else IDLE_SECONDS)
