"""Errors of the auth service. Their texts are for people and contain no secret."""

from __future__ import annotations


class AuthError(Exception):
    """Base of every error that is returned to a caller."""


class InvalidInputError(AuthError):
    """The request is malformed, whatever the state."""


class NotFoundError(AuthError):
    """There is no such key, user, login or check."""


class ConflictError(AuthError):
    """The request contradicts an earlier decision."""


class NotPermittedError(AuthError):
    """The caller may not do this: another machine's node key."""


class UnauthenticatedError(AuthError):
    """The API key is unknown, expired or malformed."""


class RefusedError(AuthError):
    """A registration cannot succeed; the client shows the text to the person."""


class SuspendedError(RefusedError):
    """The user is suspended until an administrator restores them."""


class UnavailableError(AuthError):
    """Another service did not answer; the same request may succeed later."""


class TooManyError(AuthError):
    """Too many attempts, or no room for another pending login."""

    def __init__(self, text: str, retry_after: int) -> None:
        super().__init__(text)
        self.retry_after = max(1, min(3600, retry_after))
        """Whole seconds until the next attempt; clients accept 1 to 3600."""
