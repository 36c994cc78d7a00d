"""How a registration ends: what the client is told."""

from __future__ import annotations

from dataclasses import dataclass

from services.auth.model.login import AuthId
from services.auth.model.node import AdmittedNode


@dataclass(frozen=True, slots=True)
class LoginOpened:
    """A person must act."""

    auth_id: AuthId
    auth_url: str


@dataclass(frozen=True, slots=True)
class NodeKeyExpired:
    """The client must make a new node key and register again."""


@dataclass(frozen=True, slots=True)
class NodeLoggedOut:
    """The logout was done."""


@dataclass(frozen=True, slots=True)
class Denied:
    """The person at the client reads this text."""

    text: str


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Too many attempts."""

    seconds: int


Outcome = AdmittedNode | LoginOpened | NodeKeyExpired | NodeLoggedOut | Denied | RetryAfter
"""Exactly one of these answers a registration."""


@dataclass(frozen=True, slots=True)
class SshAllowed:
    """The session may begin."""


@dataclass(frozen=True, slots=True)
class SshPending:
    """A person must vouch for the session."""

    auth_id: AuthId
    url: str


SshOutcome = SshAllowed | SshPending | Denied
"""Exactly one of these answers a question about an SSH session."""
