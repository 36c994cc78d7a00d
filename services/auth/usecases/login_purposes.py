"""What a person signs in for: a device that wants to join, or an SSH session that wants to begin.

Each says what waits under an auth id, who may decide it, and carries the decision out. The sign-in itself is the same.
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
    """How a sign-in ends without a yes."""

    reason: RefusalReason
    text: str


class LoginPurpose(Protocol):
    """One of both."""

    kind: FlowKind
    may_create: bool
    """Whether somebody who has no user here may become one by it."""
    over: FinalReason
    decided: FinalReason
    denied: FinalReason
    refused: RefusalReason
    """Why, when the decision cannot be carried out."""

    async def find(self, auth_id: AuthId | None) -> Waiting:
        """What waits; `NotFoundError` when nothing does."""
        ...

    async def check_user(self, auth_id: AuthId, user_id: UserId) -> None:
        """Let somebody who is known be asked; `SignInError` when they have no say."""
        ...

    def agrees(self, waiting: Waiting, flow: SignInFlow) -> bool:
        """Whether it was decided as the person of this sign-in would, so that their yes is harmless."""
        ...

    async def approve(self, flow: SignInFlow) -> None:
        """Carry the person's yes out."""
        ...

    async def reject(self, flow: SignInFlow, text: str) -> None:
        """Tell whoever waits that it is over."""
        ...


class JoinPurpose:
    """A device wants to join."""

    kind = FlowKind.LOGIN
    may_create = True
    over = FinalReason(RefusalReason.LOGIN_OVER, "the device's request has ended; the device shows a new link")
    decided = FinalReason(RefusalReason.LOGIN_DECIDED, "the device's request was already approved or refused")
    denied = FinalReason(
        RefusalReason.DEVICE_NOT_MINE,
        "sign-in was refused: the person at the browser said that this is not their device",
    )
    refused = RefusalReason.DEVICE_REFUSED

    def __init__(self, logins: Logins, node_logins: NodeLoginStore, clock: Clock) -> None:
        self._logins = logins
        self._node_logins = node_logins
        self._clock = clock

    async def find(self, auth_id: AuthId | None) -> Waiting:
        """A pending login."""
        return await self._logins.get(auth_id)

    async def check_user(self, auth_id: AuthId, user_id: UserId) -> None:
        """Whoever may enter may bring a device."""

    def agrees(self, waiting: Waiting, flow: SignInFlow) -> bool:
        """Approved for the same person."""
        states = (LoginState.APPROVED, LoginState.ADMITTED)
        return isinstance(waiting, Login) and waiting.state in states and waiting.user_id == flow.user_id

    async def approve(self, flow: SignInFlow) -> None:
        """Have the node admitted, and note by which login it is in."""
        admitted = await self._logins.approve(flow.auth_id, flow.user_id, RegisterMethod.OIDC, flow.key_end)
        await self._node_logins.put(_login_of(admitted.node.id, flow, self._clock.now()))

    async def reject(self, flow: SignInFlow, text: str) -> None:
        """Turn the device away."""
        await self._logins.reject(flow.auth_id, text)


class SshPurpose:
    """An SSH session wants to begin. Nobody but the owner of its source has a say, not even to end it."""

    kind = FlowKind.SSH
    may_create = False
    over = FinalReason(RefusalReason.SESSION_OVER, "the SSH session no longer waits; open it again for a new link")
    decided = FinalReason(RefusalReason.SESSION_DECIDED, "the SSH session was already approved or refused")
    denied = FinalReason(RefusalReason.SESSION_NOT_MINE, "its owner refused this SSH session in the browser")
    refused = RefusalReason.SESSION_REFUSED

    def __init__(self, checks: SshChecks) -> None:
        self._checks = checks

    async def find(self, auth_id: AuthId | None) -> Waiting:
        """A session that waits."""
        return await self._checks.get(auth_id)

    async def check_user(self, auth_id: AuthId, user_id: UserId) -> None:
        """The owner of the source, and nobody else."""
        try:
            await self._checks.owned(auth_id, user_id)
        except NotFoundError:
            raise SignInError(self.over.reason, self.over.text) from None
        except NotPermittedError as error:
            raise SignInError(RefusalReason.NOT_OWNER, str(error)) from None
        except RefusedError as error:
            raise SignInError(RefusalReason.SESSION_REFUSED, str(error)) from None

    def agrees(self, waiting: Waiting, flow: SignInFlow) -> bool:
        """Approved, which only its owner or an administrator can have done."""
        return isinstance(waiting, PendingSshCheck) and waiting.state is CheckState.APPROVED

    async def approve(self, flow: SignInFlow) -> None:
        """Let it begin."""
        await self._checks.approve(flow.auth_id, flow.user_text, flow.user_id)

    async def reject(self, flow: SignInFlow, text: str) -> None:
        """Turn it away, if the person who says so is its owner."""
        try:
            await self._checks.owned(flow.auth_id, flow.user_id)
        except (NotPermittedError, RefusedError):
            raise NotFoundError("nobody of this sign-in decides that") from None
        await self._checks.reject(flow.auth_id, flow.user_text, text)


def _login_of(node_id: NodeId, flow: SignInFlow, now: datetime) -> NodeLogin:
    ends_at = None if flow.key_end == NO_KEY_EXPIRY else flow.key_end
    checked_at = flow.changed_at or now
    return NodeLogin(node_id, flow.provider, flow.issuer, flow.subject, flow.sid, now, checked_at, ends_at)
