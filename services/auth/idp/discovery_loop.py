"""Looks for a provider until it answers: at the start insisting, else beside the work and for ever."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from services.auth.model.oidc.refusal import SignInError
from services.shared.telemetry import get_logger

if TYPE_CHECKING:
    from services.auth.idp.provider import HttpProvider

log = get_logger(__name__)

START_TRIES = 5
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0


class ProviderDiscovery:
    """The search for one provider."""

    def __init__(self, provider: HttpProvider, issuer: str) -> None:
        self._provider = provider
        self._issuer = issuer
        self._task: asyncio.Task[SignInError | None] | None = None

    def begin(self) -> None:
        """Look beside the work, until it is found."""
        if self._task is None:
            self._task = asyncio.create_task(self._look(None), name="provider discovery")

    async def attempt(self) -> SignInError | None:
        """Look once; says why not."""
        return await self._look(1)

    async def retry_a_few_times(self) -> SignInError | None:
        """Look a few times; says why not."""
        return await self._look(START_TRIES)

    async def stop(self) -> None:
        """Give up."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _look(self, tries: int | None) -> SignInError | None:
        pause, failure = FIRST_PAUSE, None
        while tries is None or tries > 0:
            try:
                metadata = await self._provider.metadata()
            except SignInError as error:
                failure = error
                tries = None if tries is None else tries - 1
                if tries != 0:
                    await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 2)
            else:
                log.info("provider found", configured=self._issuer, issuer=metadata.issuer)
                return None
        return failure
