"""The newest failures and notices of sign-ins in this process, for administrators; bounded, and without secrets."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from services.auth.model.oidc.refusal import RefusalReason

KEPT = 20


@dataclass(frozen=True, slots=True)
class SignInFailure:
    """A sign-in that was refused."""

    time: datetime
    flow_id: str
    """Empty if it could not begin."""
    provider: str
    reason: RefusalReason
    text: str


@dataclass(frozen=True, slots=True)
class SignInNotice:
    """A claim, or a part of it, that a sign-in did not use."""

    time: datetime
    flow_id: str
    provider: str
    claim: str
    text: str
    remedy: str


class SignInHistory:
    """The newest `KEPT` of each."""

    def __init__(self) -> None:
        self._failures: deque[SignInFailure] = deque(maxlen=KEPT)
        self._notices: deque[SignInNotice] = deque(maxlen=KEPT)

    def add_failure(self, failure: SignInFailure) -> None:
        """Keep a failure in the place of the oldest one."""
        self._failures.append(failure)

    def add_notice(self, notice: SignInNotice) -> None:
        """Keep a notice in the place of the oldest one."""
        self._notices.append(notice)

    def failures(self) -> tuple[SignInFailure, ...]:
        """Return the failures, the newest first."""
        return tuple(reversed(self._failures))

    def notices(self) -> tuple[SignInNotice, ...]:
        """Return the notices, the newest first."""
        return tuple(reversed(self._notices))
