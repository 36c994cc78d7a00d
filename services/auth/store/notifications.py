"""Protocols of the notifications that wake whoever waits for a login or an SSH check."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from services.auth.model.login import AuthId


class LoginWaiter(Protocol):
    """A request that waits for a login or check."""

    async def wait(self, seconds: float) -> None:
        """Return when notified, or after `seconds`; a notification since the watch began counts."""
        ...


class LoginNotifications(Protocol):
    """Wakes requests that wait for a login or check, in any instance. Notifications can be lost."""

    def watch(self, auth_id: AuthId, at_most: int = ...) -> AbstractContextManager[LoginWaiter]:
        """Begin to watch a login or SSH check; refuses with `TooManyError` when too many wait for any.

        Of more than `at_most` that watch the same, the oldest goes.
        """
        ...

    async def announce(self, auth_id: AuthId) -> None:
        """Notify all instances that a login or check was decided."""
        ...
