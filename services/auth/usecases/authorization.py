"""The configuration of sign-ins at one provider, and the authorization request (RFC 6749 §4.1.1, RFC 7636).

Authlib builds the request; `docs/decisions/openid-client.md` has the reasons why it does not verify the answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from services.auth.model.oidc.claims import Document
from services.auth.model.oidc.discovery import Metadata
from services.auth.model.oidc.entry import EntryRules, email_notices
from services.auth.model.oidc.flow import derived
from services.auth.model.oidc.groups import MAX_GROUPS, GroupNames, within_limit
from services.auth.model.oidc.identity import ClaimNames, ProviderIdentity, read_identity
from services.auth.model.oidc.notice import ClaimNotice
from services.auth.model.oidc.trust import ProviderTrust

RESERVED_PARAMETERS = frozenset(
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
"""Parameters of the authorization request that `extra_params` cannot replace."""


@dataclass(frozen=True, slots=True)
class SignInSettings:
    """Sign-ins at one provider, by the configuration."""

    client_id: str
    redirect_uri: str
    scope: tuple[str, ...]
    extra_params: Mapping[str, str] = field(default_factory=dict)
    leeway: timedelta = timedelta(seconds=60)
    claims: ClaimNames = field(default_factory=ClaimNames)
    entry: EntryRules = field(default_factory=EntryRules)
    groups: GroupNames = field(default_factory=GroupNames)
    groups_count: bool = True
    """True if policies can name the provider's groups."""
    trust: ProviderTrust = field(default_factory=ProviderTrust)
    """The addresses and groups of this provider that policies may use."""
    config_key: str = "oidc"
    """Its section of the configuration, for remedies."""
    key_lifetime: timedelta | None = None
    """Validity of a node's key after a sign-in; zero: no expiry, None: the default of all nodes."""
    expiry_from_token: bool = False

    @property
    def max_age(self) -> timedelta | None:
        """The `max_age` of `extra_params`: maximum time since the person signed in at the provider."""
        text = self.extra_params.get("max_age", "")
        return timedelta(seconds=int(text)) if text.isascii() and text.isdigit() and len(text) < 10 else None

    def describe(self, issuer: str, subject: str, documents: Sequence[Document]) -> ProviderIdentity:
        """Read an identity from the provider's documents, user info first, with groups by our names."""
        identity = read_identity(issuer, subject, documents, self.claims)
        groups, notices = identity.groups, [*email_notices(identity, self.entry), *identity.notices]
        if groups is not None:
            translated = self.groups.translate(groups)
            groups = within_limit(translated, {*self.entry.groups, *self.groups.rename.values()})
            if len(groups) < len(translated):
                text = (
                    f"{len(translated) - len(groups)} of {len(translated)} groups were left out: {MAX_GROUPS} are kept"
                )
                remedy = (
                    "let the provider send only the groups of the application, or drop some by {key}.groups.patterns"
                )
                notices.append(ClaimNotice(self.claims.groups, text, remedy))
        return replace(identity, groups=groups, notices=tuple(notices))


ALWAYS_ASKED = ("openid", "profile", "email")


def reduced_scopes(wanted: tuple[str, ...], metadata: Metadata) -> tuple[str, ...]:
    """Return the scopes for a provider that refused one: those that it lists, else those that every provider has."""
    known = [scope for scope in wanted if scope == "openid" or scope in metadata.scopes]
    return tuple(known if metadata.scopes and len(known) < len(wanted) else (s for s in wanted if s in ALWAYS_ASKED))


def authorization_url(
    settings: SignInSettings, metadata: Metadata, state: str, browser_secret: str, *, narrow: bool = False
) -> str:
    """Return the URL that begins a sign-in; with `narrow`, only for scopes that the provider should not refuse."""
    from authlib.common.urls import add_params_to_uri  # late: its packages are large, and many starts see no sign-in
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
    from authlib.oauth2.rfc7636 import create_s256_code_challenge

    scope = reduced_scopes(settings.scope, metadata) if narrow else settings.scope
    extra = [(name, value) for name, value in settings.extra_params.items() if name not in RESERVED_PARAMETERS]
    url: str = prepare_grant_uri(
        add_params_to_uri(metadata.authorization_endpoint, extra),
        settings.client_id,
        "code",
        redirect_uri=settings.redirect_uri,
        scope=scope,
        state=state,
        nonce=derived("nonce", browser_secret),
        code_challenge=create_s256_code_challenge(derived("verifier", browser_secret)),
        code_challenge_method="S256",
    )
    return url
