"""Verifies that a caller knows a key's secret: at once for our digests, in a bounded number of threads for bcrypt.

The digest of an imported key is replaced by ours when its secret is first proven, so that each such key costs a slow
check once. Wrong secrets for a known prefix cost one each; at most two run at a time, and few may wait.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from services.auth.model.errors import UnavailableError
from services.auth.model.secret import KeyText, digest_of, is_imported

THREADS = 2
MAX_WAITING = 64


class Digests(Protocol):
    """Where digests are stored."""

    async def replace_digest(self, prefix: str, before: str, digest: str) -> None:
        """Store another digest of the same secret, unless the stored one has changed."""
        ...


class Proof:
    """Checks secrets of keys; one for all keys of a process."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(THREADS)
        self._waiting = 0

    async def proves(self, text: KeyText, digest: str | None, digests: Digests) -> bool:
        """Return whether the text has the secret behind a digest; False if there is no digest.

        Raises:
            UnavailableError: too many checks of imported keys wait.
        """
        if digest is None or not is_imported(digest):
            return text.matches(digest)
        if self._waiting >= MAX_WAITING:
            raise UnavailableError("too many imported keys are checked at once")
        self._waiting += 1
        try:
            async with self._turns:
                proven = await asyncio.to_thread(text.matches_imported, digest)
        finally:
            self._waiting -= 1
        if proven:
            await digests.replace_digest(text.prefix, digest, digest_of(text.unverified_secret))
        return proven
