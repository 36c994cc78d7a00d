"""`oidc`: the configuration of OpenID sign-in, at one provider or at several."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

from services.shared.config.secret import secret

PROVIDER_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?\Z")
"""Form of a further provider's name, which is part of its redirect URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcPkceConfig:
    """`oidc.pkce`: taken for old files. PKCE with S256 is sent whatever these say; other values are warned about."""

    enabled: bool = True
    """No effect: PKCE is always sent, and `false` is warned about."""
    method: Literal["S256", "plain"] = "S256"
    """No effect: `S256` is always sent, and `plain` is warned about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcClaimsConfig:
    """`oidc.claims`: which claim carries what; dotted paths and URL-shaped names are allowed."""

    email: str = "email"
    """Claim of the e-mail address; dots lead into objects."""
    name: str = "name"
    """Claim of the display name."""
    groups: str = "groups"
    """Claim of the groups."""
    username: str = "preferred_username"
    """Claim of the user name."""
    picture: str = "picture"
    """Claim of the picture's URL."""
    namespace: str = ""
    """The same as `oidc.namespace_claim`, and before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderGroupsConfig:
    """`oidc.groups`: what a provider's groups are called here, and whether policies know them."""

    enabled: bool = True
    """Use the provider's members for `group:NAME` in policies; `allowed_groups` works in any case."""
    rename: Mapping[str, str] = field(default_factory=dict)
    """A provider's name to ours; an empty one drops the group."""
    patterns: Mapping[str, str] = field(default_factory=dict)
    """Regular expressions that match a whole name to ours, with `\\1` for what was in parentheses; the first
    counts."""
    prefix: str = ""
    """Put before names that neither of these changed."""
    allow: tuple[str, ...] = ()
    """Groups, by our names, that count in policies when this provider sends them; `*` stands for any characters.
    Empty: any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcGroupsConfig(ProviderGroupsConfig):
    """`oidc.groups` of the default provider, and what holds for the groups of all."""

    on_conflict: Literal["merge", "static", "idp"] = "merge"
    """Who is in a group that a policy lists and a provider names: both (`merge`), the policy's members (`static`), or
    the provider's (`idp`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderConfig:
    """One provider, who may enter by it, and what its claims mean. No issuer means no sign-in there."""

    issuer: str = ""
    """As the provider's page names it, with the App ID; unset: no sign-in."""
    app_id: str = ""
    """SmartLink's App ID, for an issuer that was given without its path."""
    provider_name: str = "OIDC"
    """Name of the provider on the sign-in button."""
    client_id: str = ""
    """As the provider's page names it."""
    client_secret: str = secret()
    """Or `client_secret_path`, or `private_key_path`."""
    client_secret_path: Path | None = None
    """Read at every use, so that a new secret needs no restart."""
    client_auth: Literal["", "client_secret_basic", "client_secret_post", "private_key_jwt"] = ""
    """Client authentication at the provider; empty: the first of these that it offers."""
    private_key_path: Path | None = None
    """A PEM key in place of a secret, for private_key_jwt."""
    only_start_if_oidc_is_available: bool = True
    """`false`: start without the provider, and try again until it answers."""
    scope: tuple[str, ...] = ("openid", "profile", "email")
    """Scopes requested of the provider; add `groups` if `allowed_groups` or policies need them."""
    email_verified_required: bool = True
    """An address counts only when the provider vouches for it."""
    extra_params: Mapping[str, str] = field(default_factory=dict)
    """More parameters for the provider's page, such as `prompt` or `max_age`."""
    allowed_domains: tuple[str, ...] = ()
    """Domains of e-mail addresses that may enter; `*.example.com` means subdomains. Empty: all."""
    trusted_domains: tuple[str, ...] = ()
    """Domains of e-mail addresses that this provider is trusted for; see [Several
    providers](sign-in.md#several-providers)."""
    allowed_users: tuple[str, ...] = ()
    """E-mail addresses that may enter. Empty: all."""
    allowed_groups: tuple[str, ...] = ()
    """Who is in one of these may enter. Empty: all."""
    auto_create_users: bool = True
    """`false`: only people who have a user already, see [Who may enter](sign-in.md#who-may-enter)."""
    expiry: timedelta | None = None
    """Validity of a node's key after a login; zero means no expiry, unset means `node.expiry`."""
    use_expiry_from_token: bool = False
    """A device's key ends with the ID token of its sign-in."""
    pkce: OidcPkceConfig = OidcPkceConfig()
    claims: OidcClaimsConfig = OidcClaimsConfig()
    groups: ProviderGroupsConfig = ProviderGroupsConfig()
    create_namespace_for_user: bool = True
    """`false`: `namespace_format` is not used for names."""
    namespace_format: str = ""
    """The name of a new user: `{email}`, `{email_local}`, `{username}`, `{name}`, `{sub}`, `{claim:NAME}`."""
    namespace_claim: str = ""
    """Which claim says what a person belongs to, such as a department; policies know it as `group:namespace:VALUE`."""
    ca_path: Path | None = None
    """Extra certificate authorities for the provider's TLS."""
    clock_leeway: timedelta = timedelta(seconds=60)
    """Maximum deviation of the provider's clock; at most ten minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcConfig(ProviderConfig):
    """`oidc`: the default provider, and others beside it by name."""

    groups: OidcGroupsConfig = OidcGroupsConfig()
    providers: Mapping[str, ProviderConfig] = field(default_factory=dict)
    """More providers by name, each with the keys of `oidc` above; see [Several
    providers](sign-in.md#several-providers)."""

    def in_use(self) -> dict[str, ProviderConfig]:
        """Return the providers that are configured, the default first; its name is empty."""
        own: dict[str, ProviderConfig] = {"": replace(self, providers={})} if self.issuer else {}
        return own | {name: provider for name, provider in self.providers.items() if provider.issuer}

    def brings_groups(self) -> bool:
        """Return whether any provider's groups are known to policies."""
        return any(provider.groups.enabled for provider in self.in_use().values())

    def all_domains(self) -> tuple[str, ...]:
        """Return the domains that any provider lets in."""
        return tuple(dict.fromkeys(domain for one in self.in_use().values() for domain in one.allowed_domains))


def key_of_provider(name: str) -> str:
    """Where a provider stands in the file."""
    return f"oidc.providers.{name}" if name else "oidc"
