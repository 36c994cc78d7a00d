"""Protocols of the notifications that wake requests waiting for a login or an SSH check."""

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
        """Watch a login or SSH check. Raises `TooManyError` if too many requests wait in total.

        Of more than `at_most` requests for the same one, the oldest is evicted.
        """
        ...

    async def announce(self, auth_id: AuthId) -> None:
        """Notify all instances of a decided login or check."""
        ...
