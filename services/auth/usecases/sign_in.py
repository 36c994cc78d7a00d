"""Sign-ins for pending logins and SSH checks: start at the provider, callback, confirmation.

Each step is one conditional update of a row, so any instance may take it and only one can. A final refusal also ends
the wait of the device; after any other it keeps waiting. What depends on the purpose is in `login_purposes`.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from services.auth.model.errors import (
    AuthError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    NotPermittedError,
    RefusedError,
    SuspendedError,
    TooManyError,
    UnavailableError,
)
from services.auth.model.login import AuthId
from services.auth.model.oidc.flow import (
    FLOW_ID,
    SECRET_BYTES,
    FlowKind,
    FlowState,
    SignInFlow,
    derived,
    digest,
    flow_id_of,
    new_flow_id,
    same,
)
from services.auth.model.oidc.refusal import RefusalReason, SignInError
from services.auth.store.flows import FlowStore
from services.auth.usecases.authorization import authorization_url, reduced_scopes
from services.auth.usecases.login_purposes import FinalReason, LoginPurpose, Waiting
from services.auth.usecases.provider_entries import ProviderEntries, ProviderEntry
from services.auth.usecases.sign_in_history import SignInFailure, SignInHistory, SignInNotice
from services.auth.usecases.verify_sign_in import ProviderCallback, VerifiedUser, check_sender
from services.shared.rate import Buckets, Rate, network_of
from services.shared.runtime.clock import Clock
from services.shared.telemetry import get_logger

log = get_logger(__name__)

LIFETIME = timedelta(minutes=15)
"""Lifetime of a sign-in: an approval at the provider can take minutes."""
FLOWS_OF_LOGIN = 8
"""Sign-ins in progress for one login; more would be forgotten tabs. The oldest is deleted."""
NOT_HERE = "no such sign-in has started in this browser"
STARTS_PER_NETWORK = Rate(burst=300, per_second=10)
"""Sign-ins that one network may start: a large office behind one address, or a proxy that hides its clients."""
STARTS_PER_LOGIN = Rate(burst=2, per_second=1 / 60)
"""Sign-ins that may start for one login independently of its network."""
NETWORKS = 4096
"""Maximum number of networks, and of logins, with a rate limit in memory."""


@dataclass(frozen=True, slots=True)
class StartedSignIn:
    """A sign-in that has started, and what its browser needs."""

    flow: SignInFlow
    authorization_url: str
    browser_secret: str


@dataclass(frozen=True, slots=True)
class SignInView:
    """A sign-in as its page shows it."""

    flow: SignInFlow
    waiting: Waiting | None
    confirmation: str = ""
    authorization_url: str = ""
    """Where to send the browser again; empty: nowhere."""


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """The state of a provider."""

    offer: ProviderEntry
    accepted_issuer: str = ""
    """The issuer that its tokens must have; empty while it is unknown."""
    trouble: SignInError | None = None


class SignIn:
    """Sign-ins of one tailnet."""

    def __init__(
        self, flows: FlowStore, purposes: Sequence[LoginPurpose], offers: ProviderEntries, clock: Clock
    ) -> None:
        self._flows = flows
        self._purposes: dict[FlowKind, LoginPurpose] = {purpose.kind: purpose for purpose in purposes}
        self._offers = offers
        self._clock = clock
        self._starts = Buckets(STARTS_PER_NETWORK, NETWORKS)
        self._starts_of_login = Buckets(STARTS_PER_LOGIN, NETWORKS)
        self.history = SignInHistory()

    async def providers(self) -> tuple[ProviderHealth, ...]:
        """Return the state of each provider, the default one first."""
        found = []
        for offer in self._offers.all():
            try:
                found.append(ProviderHealth(offer, (await offer.provider.metadata()).issuer))
            except SignInError as error:
                found.append(ProviderHealth(offer, trouble=error))
        return tuple(found)

    async def start(self, auth_id: AuthId | None, provider: str = "", address: str = "") -> StartedSignIn:
        """Start a sign-in for a pending login or SSH check; no provider name means the default one.

        Raises:
            NotFoundError: the login or check is unknown or expired, or there is no such provider.
            ConflictError: it was already approved or rejected, or no provider is configured.
            UnavailableError: the provider cannot be used now.
            TooManyError: too many sign-ins start from this network.
        """
        offer = self._offers.get(provider)
        purpose, waiting = await self._find(auth_id)
        if waiting.decided:
            raise ConflictError("this was already approved or refused")
        self._limit_starts(waiting.auth_id, address)
        now = self._clock.now()
        try:
            metadata = await offer.provider.metadata()
        except SignInError as error:
            self.history.add_failure(SignInFailure(now, "", offer.name, error.reason, str(error)))
            raise UnavailableError(f"{error.reason.value}: {error}") from None
        secret = secrets.token_urlsafe(SECRET_BYTES)
        flow_id = new_flow_id(now, secrets.token_bytes(8))
        state = f"{flow_id}.{secrets.token_urlsafe(SECRET_BYTES)}"
        flow = SignInFlow(
            flow_id=flow_id,
            auth_id=waiting.auth_id,
            state_hash=digest("state", state),
            browser_hash=digest("browser", secret),
            created_at=now,
            expires_at=now + LIFETIME,
            provider=offer.name,
            issuer=metadata.issuer,
            kind=purpose.kind,
        )
        await self._flows.add(flow, FLOWS_OF_LOGIN)
        log.info("sign-in started", flow_id=flow_id, auth_id=flow.auth_id, kind=flow.kind.value, provider=offer.name)
        return StartedSignIn(flow, authorization_url(offer.verify_sign_in.settings, metadata, state, secret), secret)

    async def finish(self, callback: ProviderCallback, browser_secret: str, provider: str = "") -> SignInView:
        """Process a callback at a provider's redirect URL. Repeating it returns the current state.

        Raises:
            NotFoundError: no such sign-in has started in this browser.
        """
        flow_id = flow_id_of(callback.unverified_state)
        flow = await self._of_browser(flow_id or "", browser_secret)
        if not same(flow.state_hash, digest("state", callback.unverified_state)):
            log.warning("sign-in callback with a wrong state", flow_id=flow.flow_id)
            raise NotFoundError(NOT_HERE)
        now = self._clock.now()
        taken = flow.at(FlowState.CHECKING, now)
        if flow.state is not FlowState.STARTED or not await self._flows.replace(flow, taken):
            return await self.view(flow.flow_id, browser_secret)
        try:
            offer = await self._sender(flow, callback, provider)
            if again := await self._retry_with_fewer_scopes(flow, taken, offer, callback, browser_secret):
                return again
            purpose = self._purposes[flow.kind]
            found = await offer.verify_sign_in.verify(callback, browser_secret, may_create=purpose.may_create)
            await self._check_purpose(purpose, flow, found)
        except SignInError as error:
            return await self._refuse(taken, error.reason, str(error), error.final, browser_secret, error.account)
        except AuthError as error:
            log.warning("sign-in not finished", flow_id=flow.flow_id, error=str(error))
            return await self._refuse(
                taken,
                RefusalReason.OUR_SIDE,
                "the server could not finish the sign-in; try again",
                False,
                browser_secret,
            )
        return await self._wait_for_confirmation(taken, found, browser_secret, offer)

    async def _check_purpose(self, purpose: LoginPurpose, flow: SignInFlow, found: VerifiedUser) -> None:
        try:
            await purpose.check_user(flow.auth_id, found.user.id)
        except SignInError as error:
            error.account = found.text
            raise

    async def _wait_for_confirmation(
        self, taken: SignInFlow, found: VerifiedUser, browser_secret: str, entry: ProviderEntry
    ) -> SignInView:
        key = entry.verify_sign_in.settings.config_key
        for one in found.notices:
            remedy = one.remedy_for(key)
            notice = SignInNotice(self._clock.now(), taken.flow_id, entry.name, one.claim, one.text, remedy)
            self.history.add_notice(notice)
            log.warning("claim not used", flow_id=taken.flow_id, claim=one.claim, text=one.text, remedy=remedy)
        user, texts = found.user, tuple(one.text for one in found.notices)
        known = taken.verified(user.id, found.text, found.key_end, found.subject, found.sid, texts, self._clock.now())
        await self._flows.replace(taken, known)
        log.info("sign-in verified", flow_id=taken.flow_id, user_id=user.id)
        return await self.view(taken.flow_id, browser_secret)

    async def view(self, flow_id: str, browser_secret: str) -> SignInView:
        """Return the current state of a sign-in.

        Raises:
            NotFoundError: no such sign-in has started in this browser.
        """
        flow = await self._of_browser(flow_id, browser_secret)
        if flow.stuck(self._clock.now()):
            text = "the server was interrupted during the check; start again from the page before"
            await self._flows.replace(flow, flow.refused(RefusalReason.OUR_SIDE, text, False, self._clock.now()))
            flow = await self._of_browser(flow_id, browser_secret)
        purpose = self._purposes[flow.kind]
        try:
            waiting: Waiting | None = await purpose.find(flow.auth_id)
        except NotFoundError:
            waiting = None
        if flow.state is not FlowState.CONFIRMING:
            return SignInView(flow, waiting)
        if waiting is None or (waiting.decided and not purpose.agrees(waiting, flow)):
            reason = purpose.over.reason if waiting is None else purpose.decided.reason
            return SignInView(flow.refused(reason, purpose.over.text, False, self._clock.now()), waiting)
        return SignInView(flow, waiting, derived("confirmation", browser_secret))

    async def confirm(self, flow_id: str, browser_secret: str, confirmation: str, approve: bool) -> SignInView:
        """Confirm or deny that the device or session belongs to the person. Repeating it is harmless.

        Raises:
            NotFoundError: no such sign-in has started in this browser.
            InvalidInputError: the confirmation does not come from the page.
            ConflictError: there is nothing to confirm.
            UnavailableError: the registry or the policy did not answer; repeat the call.
        """
        flow = await self._of_browser(flow_id, browser_secret)
        if not same(confirmation, derived("confirmation", browser_secret)):
            raise InvalidInputError("the confirmation does not come from the page")
        if flow.state in (FlowState.DONE, FlowState.REFUSED):
            return await self.view(flow_id, browser_secret)
        if flow.state is not FlowState.CONFIRMING:
            raise ConflictError("there is nothing to confirm yet")
        purpose = self._purposes[flow.kind]
        if not approve:
            return await self._end(flow, purpose.denied, browser_secret, final=True)
        if flow.kind is FlowKind.LOGIN and flow.key_end is not None and flow.key_end <= self._clock.now():
            text = "the provider's token, which limits the device's key, expired before you confirmed; start again"
            return await self._refuse(flow, RefusalReason.TOKEN_EXPIRED, text, False, browser_secret)
        if refused := await self._approve(flow, purpose, browser_secret):
            return refused
        await self._flows.replace(flow, flow.at(FlowState.DONE, self._clock.now()))
        log.info("sign-in confirmed", flow_id=flow_id, user_id=flow.user_id)
        return await self.view(flow_id, browser_secret)

    async def _approve(self, flow: SignInFlow, purpose: LoginPurpose, browser_secret: str) -> SignInView | None:
        """Carry the approval out. Returns how the sign-in was refused instead, or None."""
        try:
            await purpose.approve(flow)
        except NotFoundError:
            return await self._end(flow, purpose.over, browser_secret)
        except ConflictError:
            return await self._end(flow, purpose.decided, browser_secret)
        except NotPermittedError as error:
            return await self._refuse(flow, RefusalReason.NOT_OWNER, str(error), False, browser_secret)
        except SuspendedError as error:
            return await self._refuse(flow, RefusalReason.USER_SUSPENDED, str(error), True, browser_secret)
        except RefusedError as error:
            return await self._refuse(flow, purpose.refused, str(error), False, browser_secret)
        return None

    def _limit_starts(self, auth_id: AuthId, address: str) -> None:
        """Count a start. The first ones of each login are free of the network's limit, which neighbours can use up.

        Raises:
            TooManyError: too many sign-ins start from this network.
        """
        network, now = network_of(address), self._clock.monotonic()
        seconds = self._starts.wait(network, now)
        if seconds and self._starts_of_login.wait(auth_id, now):
            raise TooManyError(f"too many sign-ins start from this network; try again in {seconds} s", seconds)
        self._starts.take(network, now)
        self._starts_of_login.take(auth_id, now)

    async def _sender(self, flow: SignInFlow, callback: ProviderCallback, provider: str) -> ProviderEntry:
        """Return the provider of this sign-in if the callback belongs to it, by redirect URL and issuer."""
        offer = self._offers.find(flow.provider)
        if offer is None or (self._offers.find(provider) is not offer):
            raise SignInError(RefusalReason.RESPONSE_ISSUER, "the answer comes from another provider")
        metadata = await offer.provider.metadata()
        if metadata.issuer != flow.issuer:
            raise SignInError(RefusalReason.RESPONSE_ISSUER, "the provider was changed in the meantime; sign in again")
        check_sender(callback, metadata)
        return offer

    async def _retry_with_fewer_scopes(
        self, flow: SignInFlow, taken: SignInFlow, offer: ProviderEntry, callback: ProviderCallback, browser_secret: str
    ) -> SignInView | None:
        """Send the browser to the provider again, once, for fewer scopes, if it refused one.

        It applies to this sign-in only: a callback with this error can be forged.
        """
        if callback.error != "invalid_scope" or flow.narrowed:
            return None
        metadata, wanted = await offer.provider.metadata(), offer.verify_sign_in.settings.scope
        kept = reduced_scopes(wanted, metadata)
        if kept == wanted:
            return None
        dropped = " ".join(scope for scope in wanted if scope not in kept)
        log.warning("provider refuses scopes; requesting fewer", flow_id=flow.flow_id, dropped=dropped)
        await self._flows.replace(taken, taken.restarted(self._clock.now()))
        settings, state = offer.verify_sign_in.settings, callback.unverified_state
        url = authorization_url(settings, metadata, state, browser_secret, narrow=True)
        return SignInView(taken, None, authorization_url=url)

    async def _of_browser(self, flow_id: str, browser_secret: str) -> SignInFlow:
        flow = await self._flows.get(flow_id) if FLOW_ID.match(flow_id) else None
        if flow is None or not flow.alive(self._clock.now()):
            raise NotFoundError(NOT_HERE)
        if not browser_secret or not same(flow.browser_hash, digest("browser", browser_secret)):
            log.warning("sign-in from another browser", flow_id=flow_id)
            raise NotFoundError(NOT_HERE)
        return flow

    async def _find(self, auth_id: AuthId | None) -> tuple[LoginPurpose, Waiting]:
        for purpose in self._purposes.values():
            try:
                return purpose, await purpose.find(auth_id)
            except NotFoundError:
                continue
        raise NotFoundError("login or SSH session not found or expired")

    async def _end(
        self, flow: SignInFlow, ending: FinalReason, browser_secret: str, *, final: bool = False
    ) -> SignInView:
        return await self._refuse(flow, ending.reason, ending.text, final, browser_secret)

    async def _refuse(
        self,
        flow: SignInFlow,
        reason: RefusalReason,
        text: str,
        final: bool,
        browser_secret: str,
        account: str = "",
    ) -> SignInView:
        rejected = False
        if final:
            try:
                await self._purposes[flow.kind].reject(flow, text)
                rejected = True
            except (NotFoundError, ConflictError):
                pass  # expired, or approved in the meantime: the refusal no longer applies to it
        self.history.add_failure(SignInFailure(self._clock.now(), flow.flow_id, flow.provider, reason, text))
        log.warning("sign-in refused", flow_id=flow.flow_id, reason=reason.value, text=text, final=final)
        await self._flows.replace(flow, flow.refused(reason, text, rejected, self._clock.now(), account))
        return await self.view(flow.flow_id, browser_secret)
