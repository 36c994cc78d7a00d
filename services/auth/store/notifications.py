"""Protocols of the notifications that wake whoever waits for a login or an SSH check."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from services.auth.model.login import AuthId


class LoginWaiter(Protocol):
    """One who waits for news of a login."""

    async def wait(self, seconds: float) -> None:
        """Return at news, or when the time is over; news since the watch began counts."""
        ...


class LoginNotifications(Protocol):
    """Wakes whoever waits for a login, in any instance. News may be lost: look again now and then."""

    def watch(self, auth_id: AuthId, at_most: int = ...) -> AbstractContextManager[LoginWaiter]:
        """Begin to watch a login or SSH check; refuses with `TooManyError` when too many wait for any.

        Of more than `at_most` that watch the same, the oldest goes.
        """
        ...

    async def announce(self, auth_id: AuthId) -> None:
        """Tell all instances that a login changed."""
        ...
