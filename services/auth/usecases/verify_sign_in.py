"""Verifies a sign-in: redeems the code, checks tokens, claims and entry rules, and finds or creates the user."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from services.auth.model.login import NO_KEY_EXPIRY
from services.auth.model.node import KnownUser
from services.auth.model.oidc.claims import Document
from services.auth.model.oidc.discovery import Metadata
from services.auth.model.oidc.entry import (
    check_entry,
    group_hints,
    names_for,
    namespace_for,
    needs_more,
    trusted_email,
)
from services.auth.model.oidc.flow import derived
from services.auth.model.oidc.id_token import TokenExpectations, VerifiedClaims, open_signed, verify_id_token
from services.auth.model.oidc.identity import ProviderIdentity, account_text
from services.auth.model.oidc.keys import UnknownKeyError
from services.auth.model.oidc.notice import ClaimNotice
from services.auth.model.oidc.refusal import RefusalReason, SignInError
from services.auth.model.rights import SUSPENDED
from services.auth.store.provider import IdentityProvider, ProviderTokens
from services.auth.store.registry import UserDirectory
from services.auth.usecases.authorization import SignInSettings
from services.shared.runtime.clock import Clock
from services.shared.telemetry import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ProviderCallback:
    """The parameters that the provider sent with the browser, unverified."""

    unverified_state: str
    code: str = field(default="", repr=False)
    iss: str | None = None
    error: str = ""
    error_description: str = ""


@dataclass(frozen=True, slots=True)
class VerifiedUser:
    """Who signed in."""

    user: KnownUser
    text: str
    """The user's address or name, for people."""
    key_end: datetime | None
    subject: str
    sid: str
    """The provider's session id; empty: not sent."""
    notices: tuple[ClaimNotice, ...] = ()
    """Notices on claims that were not used."""


MAX_SID = 255


class VerifySignIn:
    """Verifies sign-ins at one provider."""

    def __init__(
        self, provider: IdentityProvider, people: UserDirectory, clock: Clock, settings: SignInSettings
    ) -> None:
        self._provider = provider
        self._people = people
        self._clock = clock
        self.settings = settings

    async def verify(self, callback: ProviderCallback, browser_secret: str, *, may_create: bool = True) -> VerifiedUser:
        """Redeem the code of a callback and return the user that it is for; makes a new one only with `may_create`.

        Raises:
            SignInError: the provider's answer breaks the protocol, or the configuration does not let the account in.
            RefusedError: the registry refuses the user.
            UnavailableError: the registry did not answer.
        """
        metadata = await self._provider.metadata()
        check_sender(callback, metadata)
        _check_answer(callback)
        verifier = derived("verifier", browser_secret)
        tokens = await self._provider.redeem(callback.code, verifier, self.settings.redirect_uri)
        expected = TokenExpectations(
            issuer=metadata.issuer,
            client_id=self.settings.client_id,
            nonce=derived("nonce", browser_secret),
            algorithms=metadata.algorithms,
            leeway=self.settings.leeway,
            access_token=tokens.access_token,
            max_age=self.settings.max_age,
        )
        verified = await self._verify_token(tokens, expected)
        identity = await self._identity(metadata, verified, tokens)
        self._check_entry(identity)
        identity = self.settings.trust.limit(identity)
        user = await self._user(identity, may_create)
        sid = verified.claims.get("sid")
        return VerifiedUser(
            user=user,
            text=trusted_email(identity, self.settings.entry) or user.email or user.name,
            key_end=self._key_end(verified),
            subject=verified.subject,
            sid=sid if isinstance(sid, str) and len(sid) <= MAX_SID else "",
            notices=identity.notices,
        )

    def _check_entry(self, identity: ProviderIdentity) -> None:
        try:
            check_entry(identity, self.settings.entry)
        except SignInError as error:
            error.account = account_text(identity)
            hints = (*group_hints(identity, self.settings.entry), *self._remedies(identity))
            if hints:
                log.warning("entry refused; see the hints", reason=error.reason.value, hints=list(hints))
            raise

    def _remedies(self, identity: ProviderIdentity) -> tuple[str, ...]:
        key = self.settings.config_key
        return tuple(f"{notice.text}; {notice.remedy_for(key)}" for notice in identity.notices)

    async def _verify_token(self, tokens: ProviderTokens, expected: TokenExpectations) -> VerifiedClaims:
        try:
            return verify_id_token(tokens.unverified_id_token, await self._provider.keys(), expected, self._clock.now())
        except UnknownKeyError:
            newer = await self._provider.keys(unknown=True)
            return verify_id_token(tokens.unverified_id_token, newer, expected, self._clock.now())

    async def _identity(self, metadata: Metadata, verified: VerifiedClaims, tokens: ProviderTokens) -> ProviderIdentity:
        documents: list[Document] = [verified.claims]
        failure: SignInError | None = None
        try:
            userinfo = await self._userinfo(metadata, tokens)
        except SignInError as error:
            if error.reason not in (RefusalReason.USERINFO_UNAVAILABLE, RefusalReason.PROVIDER_UNREACHABLE):
                raise
            log.warning("user info not available", reason=error.reason.value, error=str(error))
            userinfo, failure = None, error
        if userinfo is not None:
            if userinfo.get("sub") != verified.subject:
                raise SignInError(RefusalReason.USERINFO_SUBJECT, "the provider's user info describes another account")
            documents.insert(0, userinfo)
        identity = self.settings.describe(metadata.identity, verified.subject, documents)
        if failure is not None and needs_more(identity, self.settings.entry):
            raise SignInError(RefusalReason.USERINFO_UNAVAILABLE, str(failure))
        return identity

    async def _userinfo(self, metadata: Metadata, tokens: ProviderTokens) -> dict[str, Any] | None:
        answer = await self._provider.userinfo(tokens.access_token)
        if not isinstance(answer, str):
            return answer
        claims = open_signed(answer, await self._provider.keys(), metadata.algorithms)
        audience = claims.get("aud", self.settings.client_id)
        listed = audience if isinstance(audience, list) else [audience]
        if claims.get("iss", metadata.issuer) != metadata.issuer or self.settings.client_id not in listed:
            raise SignInError(RefusalReason.USERINFO_MALFORMED, "the provider's user info is meant for somebody else")
        return claims

    async def _user(self, identity: ProviderIdentity, may_create: bool) -> KnownUser:
        rules = self.settings.entry
        namespace = namespace_for(identity, rules)
        if namespace and not self.settings.trust.has_namespace(namespace):
            key = self.settings.config_key
            remedy = f"add 'namespace:{namespace}' to {key}.groups.allow if it is"
            log.warning("namespace not used: this provider is not trusted for it", remedy=remedy)
            namespace = ""
        known = identity if self.settings.groups_count else replace(identity, groups=())
        user = await self._people.sign_in(
            known,
            names_for(identity, rules),
            trusted_email(identity, rules),
            namespace,
            create=rules.create_users and may_create,
        )
        account = account_text(identity)
        if user is None:
            text = "this account has no user here yet; ask the administrator for one"
            raise SignInError(RefusalReason.USER_UNKNOWN, text, account)
        if user.suspended:
            raise SignInError(RefusalReason.USER_SUSPENDED, SUSPENDED, account)
        return user

    def _key_end(self, verified: VerifiedClaims) -> datetime | None:
        if self.settings.expiry_from_token:
            return verified.expires_at
        lifetime = self.settings.key_lifetime
        if lifetime is None:
            return None
        now = self._clock.now()
        return now + lifetime if timedelta(0) < lifetime < NO_KEY_EXPIRY - now else NO_KEY_EXPIRY


def check_sender(callback: ProviderCallback, metadata: Metadata) -> None:
    """Check that a callback comes from the provider that it names (RFC 9207).

    Raises:
        SignInError: it names another provider, or none although the provider declares that it does.
    """
    if callback.iss is None and metadata.sends_iss:
        raise SignInError(RefusalReason.RESPONSE_ISSUER, "the answer does not name its provider")
    if callback.iss is not None and callback.iss != metadata.issuer:
        raise SignInError(RefusalReason.RESPONSE_ISSUER, "the answer comes from another provider")


def _check_answer(callback: ProviderCallback) -> None:
    if callback.error:
        description = callback.error_description or callback.error
        if callback.error == "access_denied":
            raise SignInError(RefusalReason.ACCESS_DENIED, f"the provider denied access: {description}")
        raise SignInError(RefusalReason.PROVIDER_ERROR, f"the provider answers: {description}")
    if not callback.code:
        raise SignInError(RefusalReason.RESPONSE_INCOMPLETE, "the provider sent no code")
