"""One sign-in in progress: its state, and how it is bound to one browser.

    started --callback--> checking -verified-> confirming --yes--> done
                              |                    |
                              +---- refused <------+-- no, or not possible any more

The browser keeps one secret in a cookie. The nonce, the PKCE verifier and the page's confirmation are derived from it,
so the table contains nothing that could finish a sign-in: only hashes of the secret and of the state.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Self

from services.auth.model.login import NOBODY, AuthId
from services.auth.model.oidc.refusal import RefusalReason
from services.shared.ids import UserId

SECRET_BYTES = 32
FLOW_ID = re.compile(r"[0-9a-f]{24}\Z")
CHECKING_LASTS = timedelta(seconds=90)
"""After this time the instance that checked is assumed to have died."""


class FlowState(Enum):
    """The state of a sign-in."""

    STARTED = "started"
    CHECKING = "checking"
    CONFIRMING = "confirming"
    DONE = "done"
    REFUSED = "refused"


class FlowKind(Enum):
    """The purpose of a sign-in."""

    LOGIN = "login"
    """A device that asks to join."""
    SSH = "ssh"
    """An SSH session that waits for an approval."""


@dataclass(frozen=True, slots=True)
class SignInFlow:
    """A sign-in for one auth id in one browser."""

    flow_id: str
    auth_id: AuthId
    state_hash: str
    browser_hash: str
    created_at: datetime
    expires_at: datetime
    state: FlowState = FlowState.STARTED
    changed_at: datetime | None = None
    user_id: UserId = NOBODY
    user_text: str = ""
    """The account that signed in, for the page."""
    key_end: datetime | None = None
    """The expiry of the node's key; None: as configured."""
    reason: str = ""
    text: str = ""
    final: bool = False
    provider: str = ""
    """The provider's name in the configuration; empty: the default one."""
    issuer: str = ""
    """The provider's issuer when the sign-in started; a callback from any other is refused."""
    subject: str = ""
    """The subject of the ID token; empty before."""
    sid: str = ""
    """The provider's session id; empty: not sent."""
    narrowed: bool = False
    """The browser was sent to the provider again, for fewer scopes."""
    kind: FlowKind = FlowKind.LOGIN
    notices: tuple[str, ...] = ()
    """Claims that were not used and why, for people."""

    def alive(self, now: datetime) -> bool:
        """Return whether the sign-in has not expired."""
        return now < self.expires_at

    def stuck(self, now: datetime) -> bool:
        """Return whether the instance that was checking it has died: it took longer than `CHECKING_LASTS`."""
        return self.state is FlowState.CHECKING and (self.changed_at or self.created_at) + CHECKING_LASTS <= now

    def at(self, state: FlowState, now: datetime) -> Self:
        """Return the flow in another state."""
        return replace(self, state=state, changed_at=now)

    def restarted(self, now: datetime) -> Self:
        """Return the flow when the browser is sent to the provider again, for fewer scopes."""
        return replace(self, narrowed=True).at(FlowState.STARTED, now)

    def verified(
        self,
        user_id: UserId,
        user_text: str,
        key_end: datetime | None,
        subject: str,
        sid: str,
        notices: tuple[str, ...],
        now: datetime,
    ) -> Self:
        """Return the flow after the person was verified: it waits for their confirmation."""
        known = replace(
            self, user_id=user_id, user_text=user_text, key_end=key_end, subject=subject, sid=sid, notices=notices
        )
        return known.at(FlowState.CONFIRMING, now)

    def refused(self, reason: RefusalReason, text: str, final: bool, now: datetime, account: str = "") -> Self:
        """Return the flow after a refusal; `account` is what the provider calls the account that was used."""
        ended = replace(self, reason=reason.value, text=text, final=final, user_text=self.user_text or account)
        return ended.at(FlowState.REFUSED, now)


def new_flow_id(now: datetime, seed: bytes) -> str:
    """Make a flow id of its time and 8 random bytes: ids sort by age, so a browser can delete the oldest cookie."""
    if len(seed) != 8:
        raise ValueError("a flow id is made of 8 random bytes")
    return f"{int(now.timestamp()):08x}"[-8:] + seed.hex()


def flow_id_of(state: str) -> str | None:
    """Return the flow id in a state parameter; None if it has another form."""
    flow_id, _, secret = state.partition(".")
    return flow_id if FLOW_ID.match(flow_id) and 0 < len(secret) <= 128 else None


def digest(purpose: str, secret: str) -> str:
    """Return the digest of a secret, which is stored in its place."""
    return hmac.new(secret.encode(), purpose.encode(), hashlib.sha256).hexdigest()


def derived(purpose: str, secret: str) -> str:
    """Derive a value from a secret: nonce, PKCE verifier, confirmation."""
    made = hmac.new(secret.encode(), purpose.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(made).rstrip(b"=").decode()


def same(left: str, right: str) -> bool:
    """Return whether two secrets are equal; compares in constant time."""
    return hmac.compare_digest(left.encode(), right.encode())
