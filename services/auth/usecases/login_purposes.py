"""The purposes of a sign-in: a device that asks to join, or an SSH session that waits for an approval.

Each finds the login or check of an auth id, decides who may approve it, and carries the decision out.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from services.auth.model.errors import NotFoundError, NotPermittedError, RefusedError
from services.auth.model.login import NO_KEY_EXPIRY, AuthId, Login, LoginState, RegisterMethod
from services.auth.model.node_login import NodeLogin
from services.auth.model.oidc.flow import FlowKind, SignInFlow
from services.auth.model.oidc.refusal import RefusalReason, SignInError
from services.auth.model.ssh_check import CheckState, PendingSshCheck
from services.auth.store.logins import NodeLoginStore
from services.auth.usecases.logins import Logins
from services.auth.usecases.ssh_checks import SshChecks
from services.shared.ids import NodeId, UserId
from services.shared.runtime.clock import Clock

Waiting = Login | PendingSshCheck


@dataclass(frozen=True, slots=True)
class FinalReason:
    """The reason why a sign-in ended without an approval."""

    reason: RefusalReason
    text: str


class LoginPurpose(Protocol):
    """The purpose of a sign-in: its login or check, and who may approve it."""

    kind: FlowKind
    may_create: bool
    """True if the sign-in may create a user."""
    over: FinalReason
    decided: FinalReason
    denied: FinalReason
    refused: RefusalReason
    """The reason if the approval cannot be carried out."""

    async def find(self, auth_id: AuthId | None) -> Waiting:
        """Return the login or check. Raises `NotFoundError` if there is none."""
        ...

    async def check_user(self, auth_id: AuthId, user_id: UserId) -> None:
        """Check that a user may approve it. Raises `SignInError` if not."""
        ...

    def agrees(self, waiting: Waiting, flow: SignInFlow) -> bool:
        """Return whether it was already approved as this sign-in would approve it."""
        ...

    async def approve(self, flow: SignInFlow) -> None:
        """Approve it for the user of the sign-in."""
        ...

    async def reject(self, flow: SignInFlow, text: str) -> None:
        """Reject it with a text for the waiting client."""
        ...


class JoinPurpose:
    """The purpose of a device that asks to join."""

    kind = FlowKind.LOGIN
    may_create = True
    over = FinalReason(RefusalReason.LOGIN_OVER, "the device's request has ended; the device shows a new link")
    decided = FinalReason(RefusalReason.LOGIN_DECIDED, "the device's request was already approved or refused")
    denied = FinalReason(
        RefusalReason.DEVICE_NOT_MINE,
        "sign-in was refused: the person at the browser stated that this is not their device",
    )
    refused = RefusalReason.DEVICE_REFUSED

    def __init__(self, logins: Logins, node_logins: NodeLoginStore, clock: Clock) -> None:
        self._logins = logins
        self._node_logins = node_logins
        self._clock = clock

    async def find(self, auth_id: AuthId | None) -> Waiting:
        """Return a pending login."""
        return await self._logins.get(auth_id)

    async def check_user(self, auth_id: AuthId, user_id: UserId) -> None:
        """Do nothing: every user who may enter may add a device."""

    def agrees(self, waiting: Waiting, flow: SignInFlow) -> bool:
        """Return whether it was approved for the same user."""
        states = (LoginState.APPROVED, LoginState.ADMITTED)
        return isinstance(waiting, Login) and waiting.state in states and waiting.user_id == flow.user_id

    async def approve(self, flow: SignInFlow) -> None:
        """Have the node admitted, and record the login that admitted it."""
        admitted = await self._logins.approve(flow.auth_id, flow.user_id, RegisterMethod.OIDC, flow.key_end)
        await self._node_logins.put(_login_of(admitted.node.id, flow, self._clock.now()))

    async def reject(self, flow: SignInFlow, text: str) -> None:
        """Reject the login."""
        await self._logins.reject(flow.auth_id, text)


class SshPurpose:
    """The purpose of an SSH session. Only the owner of its source may approve or reject it."""

    kind = FlowKind.SSH
    may_create = False
    over = FinalReason(RefusalReason.SESSION_OVER, "the SSH session no longer waits; open it again for a new link")
    decided = FinalReason(RefusalReason.SESSION_DECIDED, "the SSH session was already approved or refused")
    denied = FinalReason(RefusalReason.SESSION_NOT_MINE, "its owner refused this SSH session in the browser")
    refused = RefusalReason.SESSION_REFUSED

    def __init__(self, checks: SshChecks) -> None:
        self._checks = checks

    async def find(self, auth_id: AuthId | None) -> Waiting:
        """Return the check."""
        return await self._checks.get(auth_id)

    async def check_user(self, auth_id: AuthId, user_id: UserId) -> None:
        """Check that the user owns the source."""
        try:
            await self._checks.owned(auth_id, user_id)
        except NotFoundError:
            raise SignInError(self.over.reason, self.over.text) from None
        except NotPermittedError as error:
            raise SignInError(RefusalReason.NOT_OWNER, str(error)) from None
        except RefusedError as error:
            raise SignInError(RefusalReason.SESSION_REFUSED, str(error)) from None

    def agrees(self, waiting: Waiting, flow: SignInFlow) -> bool:
        """Return whether it was approved, which only its owner or an administrator can do."""
        return isinstance(waiting, PendingSshCheck) and waiting.state is CheckState.APPROVED

    async def approve(self, flow: SignInFlow) -> None:
        """Approve the session."""
        await self._checks.approve(flow.auth_id, flow.user_text, flow.user_id)

    async def reject(self, flow: SignInFlow, text: str) -> None:
        """Reject the session if the user owns its source."""
        try:
            await self._checks.owned(flow.auth_id, flow.user_id)
        except (NotPermittedError, RefusedError):
            raise NotFoundError("this user cannot reject the session") from None
        await self._checks.reject(flow.auth_id, flow.user_text, text)


def _login_of(node_id: NodeId, flow: SignInFlow, now: datetime) -> NodeLogin:
    ends_at = None if flow.key_end == NO_KEY_EXPIRY else flow.key_end
    checked_at = flow.changed_at or now
    return NodeLogin(node_id, flow.provider, flow.issuer, flow.subject, flow.sid, now, checked_at, ends_at)
