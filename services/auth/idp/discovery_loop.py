"""Fetches a provider's metadata until it answers: with a few retries before the start, else in the background."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from services.auth.model.oidc.refusal import SignInError
from services.shared.background import Background
from services.shared.telemetry import get_logger

if TYPE_CHECKING:
    from services.auth.idp.provider import HttpProvider

log = get_logger(__name__)

START_TRIES = 5
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0


class ProviderDiscovery:
    """The discovery of one provider."""

    def __init__(self, provider: HttpProvider, issuer: str, background: Background) -> None:
        self._provider = provider
        self._issuer = issuer
        self._background = background

    def begin(self) -> None:
        """Retry in the background until the provider answers."""
        if not self._background:
            self._background.keep(self._poll_until_found, "provider discovery")

    async def attempt(self) -> SignInError | None:
        """Try once.  Returns the failure, or None."""
        return await self._poll(1)

    async def retry_a_few_times(self) -> SignInError | None:
        """Try a few times. Returns the failure, or None."""
        return await self._poll(START_TRIES)

    async def stop(self) -> None:
        """Give up."""
        await self._background.stop()

    async def _poll_until_found(self) -> None:
        await self._poll(None)

    async def _poll(self, tries: int | None) -> SignInError | None:
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
