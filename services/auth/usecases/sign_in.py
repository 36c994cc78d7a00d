"""A person signs in for a device: sent to the provider, proven on return, asked whether the device is theirs.

Every step is one row that moves on once. Any instance may take any step; the second to try finds it taken. A refusal
that is final is told to the waiting device, any other leaves it waiting.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from services.auth.model.errors import (
    AuthError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    RefusedError,
    SuspendedError,
    UnavailableError,
)
from services.auth.model.login import AuthId, Login, LoginState, RegisterMethod
from services.auth.model.oidc.flow import (
    FLOW_ID,
    SECRET_BYTES,
    Flow,
    FlowState,
    derived,
    digest,
    flow_id_of,
    new_flow_id,
    same,
)
from services.auth.model.oidc.refusal import Reason, SignInError
from services.auth.store import FlowStore, Provider
from services.auth.usecases.logins import Logins
from services.auth.usecases.prove_person import Callback, ProvePerson, authorization_url
from services.shared.clock import Clock
from services.shared.telemetry import get_logger

log = get_logger(__name__)

LIFETIME = timedelta(minutes=15)
"""How long a person may take at the provider; an approval there may take a while."""
FLOWS_OF_LOGIN = 8
"""Sign-ins under way for one device; more would be tabs that nobody looks at. The oldest goes."""
NOT_HERE = "no such sign-in is under way in this browser"


@dataclass(frozen=True, slots=True)
class Started:
    """What the browser is given."""

    flow: Flow
    authorization_url: str
    browser_secret: str


@dataclass(frozen=True, slots=True)
class View:
    """A sign-in as its browser may see it."""

    flow: Flow
    login: Login | None
    confirmation: str = ""


class SignIn:
    """Sign-ins of one tailnet at one provider."""

    def __init__(self, flows: FlowStore, logins: Logins, provider: Provider, prove: ProvePerson, clock: Clock) -> None:
        self._flows = flows
        self._logins = logins
        self._provider = provider
        self._prove = prove
        self._clock = clock

    async def start(self, auth_id: AuthId | None) -> Started:
        """Begin for a pending login.

        Raises:
            NotFoundError: the login is unknown or over.
            ConflictError: it was decided.
            UnavailableError: the provider cannot be used now.
        """
        login = await self._logins.get(auth_id)
        if login.decided:
            raise ConflictError("login was decided already")
        try:
            metadata = await self._provider.metadata()
        except SignInError as error:
            raise UnavailableError(f"{error.reason.value}: {error}") from None
        now = self._clock.now()
        secret = secrets.token_urlsafe(SECRET_BYTES)
        flow_id = new_flow_id(now, secrets.token_bytes(8))
        state = f"{flow_id}.{secrets.token_urlsafe(SECRET_BYTES)}"
        flow = Flow(
            flow_id=flow_id,
            auth_id=login.auth_id,
            state_hash=digest("state", state),
            browser_hash=digest("browser", secret),
            created_at=now,
            expires_at=now + LIFETIME,
        )
        await self._flows.add(flow, FLOWS_OF_LOGIN)
        log.info("sign-in started", flow_id=flow_id, auth_id=login.auth_id)
        return Started(flow, authorization_url(self._prove.settings, metadata, state, secret), secret)

    async def finish(self, callback: Callback, browser_secret: str) -> View:
        """Take the provider's answer. The same answer again finds what became of the first.

        Raises:
            NotFoundError: no such sign-in is under way in this browser.
        """
        flow_id = flow_id_of(callback.unverified_state)
        flow = await self._of_browser(flow_id or "", browser_secret)
        if not same(flow.state_hash, digest("state", callback.unverified_state)):
            log.warning("sign-in with a forged state", flow_id=flow.flow_id)
            raise NotFoundError(NOT_HERE)
        now = self._clock.now()
        taken = flow.at(FlowState.CHECKING, now)
        if flow.state is not FlowState.STARTED or not await self._flows.replace(flow, taken):
            return await self.view(flow.flow_id, browser_secret)
        try:
            found = await self._prove.prove(callback, browser_secret)
        except SignInError as error:
            return await self._refuse(taken, error.reason, str(error), error.final, browser_secret)
        except AuthError as error:
            log.warning("sign-in not finished", flow_id=flow.flow_id, error=str(error))
            return await self._refuse(
                taken, Reason.OUR_SIDE, "the server could not finish the sign-in; try again", False, browser_secret
            )
        user = found.user
        known = taken.proven(user.id, found.text, found.key_end, self._clock.now())
        await self._flows.replace(taken, known)
        log.info("sign-in proven", flow_id=flow.flow_id, user_id=user.id)
        return await self.view(flow.flow_id, browser_secret)

    async def view(self, flow_id: str, browser_secret: str) -> View:
        """How far a sign-in is.

        Raises:
            NotFoundError: no such sign-in is under way in this browser.
        """
        flow = await self._of_browser(flow_id, browser_secret)
        if flow.stuck(self._clock.now()):
            text = "the server was interrupted while it checked; start again from the device's page"
            await self._flows.replace(flow, flow.refused(Reason.OUR_SIDE, text, False, self._clock.now()))
            flow = await self._of_browser(flow_id, browser_secret)
        try:
            login: Login | None = await self._logins.get(flow.auth_id)
        except NotFoundError:
            login = None
        if flow.state is not FlowState.CONFIRMING:
            return View(flow, login)
        if login is None or (login.decided and not _mine(login, flow)):
            reason = Reason.LOGIN_OVER if login is None else Reason.LOGIN_DECIDED
            text = "the device's request is over; look at the device for a new link"
            return View(flow.refused(reason, text, False, self._clock.now()), login)
        return View(flow, login, derived("confirmation", browser_secret))

    async def confirm(self, flow_id: str, browser_secret: str, confirmation: str, approve: bool) -> View:
        """The person says whether the device is theirs; saying it again is harmless.

        Raises:
            NotFoundError: no such sign-in is under way in this browser.
            InvalidInputError: the answer does not come from the page.
            ConflictError: there is nothing to confirm.
            UnavailableError: the registry or the policy did not answer; do it again.
        """
        flow = await self._of_browser(flow_id, browser_secret)
        if not same(confirmation, derived("confirmation", browser_secret)):
            raise InvalidInputError("the confirmation does not come from the page")
        if flow.state in (FlowState.DONE, FlowState.REFUSED):
            return await self.view(flow_id, browser_secret)
        if flow.state is not FlowState.CONFIRMING:
            raise ConflictError("there is nothing to confirm yet")
        if not approve:
            text = "sign-in was refused: the person at the browser said that this device is not theirs"
            return await self._refuse(flow, Reason.DEVICE_NOT_MINE, text, True, browser_secret)
        try:
            await self._logins.approve(flow.auth_id, flow.user_id, RegisterMethod.OIDC, flow.key_end)
        except NotFoundError:
            text = "the device's request is over; look at the device for a new link"
            return await self._refuse(flow, Reason.LOGIN_OVER, text, False, browser_secret)
        except ConflictError:
            text = "the device's request was decided already"
            return await self._refuse(flow, Reason.LOGIN_DECIDED, text, False, browser_secret)
        except SuspendedError as error:
            return await self._refuse(flow, Reason.USER_SUSPENDED, str(error), True, browser_secret)
        except RefusedError as error:
            return await self._refuse(flow, Reason.DEVICE_REFUSED, str(error), False, browser_secret)
        await self._flows.replace(flow, flow.at(FlowState.DONE, self._clock.now()))
        log.info("sign-in confirmed", flow_id=flow_id, user_id=flow.user_id)
        return await self.view(flow_id, browser_secret)

    async def _of_browser(self, flow_id: str, browser_secret: str) -> Flow:
        flow = await self._flows.get(flow_id) if FLOW_ID.match(flow_id) else None
        if flow is None or not flow.alive(self._clock.now()):
            raise NotFoundError(NOT_HERE)
        if not browser_secret or not same(flow.browser_hash, digest("browser", browser_secret)):
            log.warning("sign-in from another browser", flow_id=flow_id)
            raise NotFoundError(NOT_HERE)
        return flow

    async def _refuse(self, flow: Flow, reason: Reason, text: str, final: bool, browser_secret: str) -> View:
        told = False
        if final:
            try:
                await self._logins.reject(flow.auth_id, text)
                told = True
            except (NotFoundError, ConflictError):
                pass  # over, or let in meanwhile: this sign-in has no say any more
        log.warning("sign-in refused", flow_id=flow.flow_id, reason=reason.value, text=text, final=final)
        await self._flows.replace(flow, flow.refused(reason, text, told, self._clock.now()))
        return await self.view(flow.flow_id, browser_secret)


def _mine(login: Login, flow: Flow) -> bool:
    return login.state in (LoginState.APPROVED, LoginState.ADMITTED) and login.user_id == flow.user_id
