"""The last sign-ins that went wrong, for administrators: kept in this process, few, and without secrets."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from services.auth.model.oidc.refusal import RefusalReason

KEPT = 20


@dataclass(frozen=True, slots=True)
class SignInFailure:
    """A sign-in that went wrong."""

    time: datetime
    flow_id: str
    """Empty when it could not begin."""
    provider: str
    reason: RefusalReason
    text: str


class SignInFailures:
    """The newest `KEPT` of them."""

    def __init__(self) -> None:
        self._kept: deque[SignInFailure] = deque(maxlen=KEPT)

    def add(self, failure: SignInFailure) -> None:
        """Remember one in the place of the oldest."""
        self._kept.append(failure)

    def newest(self) -> tuple[SignInFailure, ...]:
        """All, the newest first."""
        return tuple(reversed(self._kept))
