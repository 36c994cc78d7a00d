"""Why a request of the auth service fails, as types. Texts are for people and never repeat a secret."""

from __future__ import annotations


class AuthError(Exception):
    """Base of every failure that a caller is told about."""


class InvalidInputError(AuthError):
    """The request makes no sense, whatever the state."""


class NotFoundError(AuthError):
    """There is no such key, user or pending login."""


class ConflictError(AuthError):
    """The request contradicts what has been decided already."""


class NotPermittedError(AuthError):
    """The caller may not do this: another machine's node key."""


class UnauthenticatedError(AuthError):
    """The API key is unknown, expired or malformed."""


class RefusedError(AuthError):
    """A registration cannot succeed, for a reason that the person at the client should read."""


class SuspendedError(RefusedError):
    """The person is suspended; trying again ends the same way until an administrator lifts it."""


class UnavailableError(AuthError):
    """Another service did not answer; the same request may succeed later."""


class TooManyError(AuthError):
    """Too many attempts, or no room for another pending login."""

    def __init__(self, text: str, retry_after: int) -> None:
        super().__init__(text)
        self.retry_after = max(1, min(3600, retry_after))
        """Whole seconds until the next attempt; clients accept 1 to 3600."""
