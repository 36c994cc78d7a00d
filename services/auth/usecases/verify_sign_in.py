"""From the provider's answer to a user of ours: code for tokens, tokens proven, claims read, rules met, user found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from authlib.oauth2.rfc7636 import create_s256_code_challenge

from services.auth.model.login import NO_KEY_EXPIRY
from services.auth.model.node import KnownUser
from services.auth.model.oidc.discovery import Metadata
from services.auth.model.oidc.entry import EntryRules, check_entry, names_for, namespace_for, trusted_email
from services.auth.model.oidc.flow import derived
from services.auth.model.oidc.groups import GroupNames
from services.auth.model.oidc.id_token import TokenExpectations, VerifiedClaims, open_signed, verify_id_token
from services.auth.model.oidc.identity import ClaimNames, Document, ProviderIdentity, read_person
from services.auth.model.oidc.keys import UnknownKeyError
from services.auth.model.oidc.refusal import RefusalReason, SignInError
from services.auth.model.rights import SUSPENDED
from services.auth.store.provider import IdentityProvider, ProviderTokens
from services.auth.store.registry import UserDirectory
from services.shared.runtime.clock import Clock
from services.shared.telemetry import get_logger

log = get_logger(__name__)

OURS = frozenset(
    {
        "response_type",
        "response_mode",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "request",
        "request_uri",
    }
)
"""Parameters that no configuration may give in our place."""


@dataclass(frozen=True, slots=True)
class SignInSettings:
    """What the configuration says of sign-ins."""

    client_id: str
    redirect_uri: str
    scope: tuple[str, ...]
    extra_params: Mapping[str, str] = field(default_factory=dict)
    leeway: timedelta = timedelta(seconds=60)
    claims: ClaimNames = field(default_factory=ClaimNames)
    entry: EntryRules = field(default_factory=EntryRules)
    groups: GroupNames = field(default_factory=GroupNames)
    groups_count: bool = True
    """Whether policies know the provider's groups."""
    key_lifetime: timedelta | None = None
    """How long a sign-in keeps a node's key; zero: for ever, None: as for every node."""
    expiry_from_token: bool = False

    @property
    def max_age(self) -> timedelta | None:
        """What `extra_params` asks of the provider: that the person signed in there so lately."""
        text = self.extra_params.get("max_age", "")
        return timedelta(seconds=int(text)) if text.isascii() and text.isdigit() and len(text) < 10 else None


@dataclass(frozen=True, slots=True)
class ProviderCallback:
    """The parameters that the provider gave the browser; nothing of them is proven."""

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
    """The same for people."""
    key_end: datetime | None
    subject: str
    sid: str
    """What the provider calls the session in the browser; empty: not said."""


MAX_SID = 255
ALWAYS_ASKED = ("openid", "profile", "email")


def reduced_scopes(wanted: tuple[str, ...], metadata: Metadata) -> tuple[str, ...]:
    """What to ask of a provider that refused a scope: what it says it knows, else what every provider knows."""
    known = [scope for scope in wanted if scope == "openid" or scope in metadata.scopes]
    return tuple(known if metadata.scopes and len(known) < len(wanted) else (s for s in wanted if s in ALWAYS_ASKED))


def authorization_url(
    settings: SignInSettings, metadata: Metadata, state: str, browser_secret: str, *, narrow: bool = False
) -> str:
    """Where the browser is sent; `narrow` asks for the scopes that a provider cannot refuse."""
    scope = reduced_scopes(settings.scope, metadata) if narrow else settings.scope
    parameters = {name: value for name, value in settings.extra_params.items() if name not in OURS}
    parameters |= {
        "response_type": "code",
        "client_id": settings.client_id,
        "redirect_uri": settings.redirect_uri,
        "scope": " ".join(scope),
        "state": state,
        "nonce": derived("nonce", browser_secret),
        "code_challenge": create_s256_code_challenge(derived("verifier", browser_secret)),
        "code_challenge_method": "S256",
    }
    endpoint = metadata.authorization_endpoint
    return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(parameters)}"


class VerifySignIn:
    """Proves who signed in at one provider."""

    def __init__(
        self, provider: IdentityProvider, people: UserDirectory, clock: Clock, settings: SignInSettings
    ) -> None:
        self._provider = provider
        self._people = people
        self._clock = clock
        self.settings = settings

    async def verify(self, callback: ProviderCallback, browser_secret: str, *, may_create: bool = True) -> VerifiedUser:
        """Whom the provider vouches for, as a user that may enter. Without `newcomers` nobody becomes one by it.

        Raises:
            SignInError: any rule of the protocol or of the operator is broken.
            RefusedError: the registry would not have the person.
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
        proven = await self._prove_token(tokens, expected)
        person = await self._person(metadata, proven, tokens)
        check_entry(person, self.settings.entry)
        user = await self._user(person, may_create)
        sid = proven.claims.get("sid")
        known = sid if isinstance(sid, str) and len(sid) <= MAX_SID else ""
        return VerifiedUser(user, person.email or user.name, self._key_end(proven), proven.subject, known)

    async def _prove_token(self, tokens: ProviderTokens, expected: TokenExpectations) -> VerifiedClaims:
        try:
            return verify_id_token(tokens.unverified_id_token, await self._provider.keys(), expected, self._clock.now())
        except UnknownKeyError:
            newer = await self._provider.keys(unknown=True)
            return verify_id_token(tokens.unverified_id_token, newer, expected, self._clock.now())

    async def _person(self, metadata: Metadata, proven: VerifiedClaims, tokens: ProviderTokens) -> ProviderIdentity:
        documents: list[Document] = [proven.claims]
        trouble: SignInError | None = None
        try:
            userinfo = await self._userinfo(metadata, tokens)
        except SignInError as error:
            if error.reason not in (RefusalReason.USERINFO_UNAVAILABLE, RefusalReason.PROVIDER_UNREACHABLE):
                raise
            log.warning("user info cannot be had", reason=error.reason.value, error=str(error))
            userinfo, trouble = None, error
        if userinfo is not None:
            if userinfo.get("sub") != proven.subject:
                raise SignInError(RefusalReason.USERINFO_SUBJECT, "the provider's user info is of somebody else")
            documents.insert(0, userinfo)
        person = read_person(metadata.identity, proven.subject, documents, self.settings.claims)
        if person.groups is not None:
            person = replace(person, groups=self.settings.groups.ours(person.groups))
        rules = self.settings.entry
        lacking = (bool(rules.groups) and person.groups is None) or (
            bool(rules.domains or rules.users) and not person.email
        )
        if trouble is not None and lacking:
            raise SignInError(RefusalReason.USERINFO_UNAVAILABLE, str(trouble))
        return person

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

    async def _user(self, person: ProviderIdentity, may_create: bool) -> KnownUser:
        rules = self.settings.entry
        namespace = namespace_for(person, rules)
        known = person if self.settings.groups_count else replace(person, groups=())
        create = rules.create_users and may_create
        user = await self._people.sign_in(
            known, names_for(person, rules), trusted_email(person, rules), namespace, create=create
        )
        if user is None:
            raise SignInError(
                RefusalReason.USER_UNKNOWN, "this account has no user here yet; ask the administrator for one"
            )
        if user.suspended:
            raise SignInError(RefusalReason.USER_SUSPENDED, SUSPENDED)
        return user

    def _key_end(self, proven: VerifiedClaims) -> datetime | None:
        if self.settings.expiry_from_token:
            return proven.expires_at
        lifetime = self.settings.key_lifetime
        if lifetime is None:
            return None
        now = self._clock.now()
        return now + lifetime if timedelta(0) < lifetime < NO_KEY_EXPIRY - now else NO_KEY_EXPIRY


def check_sender(callback: ProviderCallback, metadata: Metadata) -> None:
    """Hold an answer to the provider that it says it comes from (RFC 9207).

    Raises:
        SignInError: it does not say, though the provider promised to, or it is another.
    """
    if callback.iss is None and metadata.sends_iss:
        raise SignInError(RefusalReason.RESPONSE_ISSUER, "the answer does not say which provider it comes from")
    if callback.iss is not None and callback.iss != metadata.issuer:
        raise SignInError(RefusalReason.RESPONSE_ISSUER, "the answer comes from another provider")


def _check_answer(callback: ProviderCallback) -> None:
    if callback.error:
        said = callback.error_description or callback.error
        if callback.error == "access_denied":
            raise SignInError(RefusalReason.ACCESS_DENIED, f"the provider denied access: {said}")
        raise SignInError(RefusalReason.PROVIDER_ERROR, f"the provider answers: {said}")
    if not callback.code:
        raise SignInError(RefusalReason.RESPONSE_INCOMPLETE, "the provider sent no code")
