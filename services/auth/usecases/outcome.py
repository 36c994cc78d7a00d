"""The answers to registrations and to questions about SSH sessions."""

from __future__ import annotations

from dataclasses import dataclass

from services.auth.model.login import AuthId
from services.auth.model.node import AdmittedNode


@dataclass(frozen=True, slots=True)
class LoginOpened:
    """A login is pending: a person must approve it."""

    auth_id: AuthId
    auth_url: str


@dataclass(frozen=True, slots=True)
class NodeKeyExpired:
    """The client must register again with a new node key."""


@dataclass(frozen=True, slots=True)
class NodeLoggedOut:
    """The node was logged out."""


@dataclass(frozen=True, slots=True)
class Denied:
    """The registration was refused; the client shows this text."""

    text: str


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Too many attempts."""

    seconds: int


Outcome = AdmittedNode | LoginOpened | NodeKeyExpired | NodeLoggedOut | Denied | RetryAfter
"""The answer to a registration."""


@dataclass(frozen=True, slots=True)
class SshAllowed:
    """The session may start."""


@dataclass(frozen=True, slots=True)
class SshPending:
    """A check is pending: a person must approve the session."""

    auth_id: AuthId
    url: str


SshOutcome = SshAllowed | SshPending | Denied
"""The answer to a question about an SSH session."""
