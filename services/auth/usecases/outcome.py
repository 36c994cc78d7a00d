"""How a registration ends: what the client is told."""

from __future__ import annotations

from dataclasses import dataclass

from services.auth.model.login import AuthId
from services.auth.model.node import Admitted


@dataclass(frozen=True, slots=True)
class LoginNeeded:
    """A person must act."""

    auth_id: AuthId
    auth_url: str


@dataclass(frozen=True, slots=True)
class NodeKeyExpired:
    """The client must make a new node key and register again."""


@dataclass(frozen=True, slots=True)
class LoggedOut:
    """The logout was done."""


@dataclass(frozen=True, slots=True)
class Denied:
    """The person at the client reads this text."""

    text: str


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Too many attempts."""

    seconds: int


Outcome = Admitted | LoginNeeded | NodeKeyExpired | LoggedOut | Denied | RetryAfter
"""Exactly one of these answers a registration."""


@dataclass(frozen=True, slots=True)
class SshAccepted:
    """The session may begin."""


@dataclass(frozen=True, slots=True)
class SshWaiting:
    """A person must vouch for the session."""

    auth_id: AuthId
    url: str


SshOutcome = SshAccepted | SshWaiting | Denied
"""Exactly one of these answers a question about an SSH session."""
