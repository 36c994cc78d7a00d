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
"""What a further provider may be called: the name stands in its redirect URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcPkceConfig:
    """`oidc.pkce`: taken for old files. PKCE with S256 is sent whatever these say; other values are warned about."""

    enabled: bool = True
    method: Literal["S256", "plain"] = "S256"


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcClaimsConfig:
    """`oidc.claims`: which claim carries what; dotted paths and URL-shaped names are allowed."""

    email: str = "email"
    name: str = "name"
    groups: str = "groups"
    username: str = "preferred_username"
    picture: str = "picture"
    namespace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderGroupsConfig:
    """`oidc.groups`: what a provider's groups are called here, and whether policies know them."""

    enabled: bool = True
    """Whether `group:NAME` in a policy has the provider's members; `allowed_groups` works in any case."""
    rename: Mapping[str, str] = field(default_factory=dict)
    """A provider's name to ours; an empty one drops the group."""
    patterns: Mapping[str, str] = field(default_factory=dict)
    """Regular expressions that match a whole name to ours, with \\1 for what was in parentheses; the first counts."""
    prefix: str = ""
    """Put before names that neither of these changed."""
    allow: tuple[str, ...] = ()
    """Names of groups, by ours, that count in policies when this provider sends them; `*` stands for any characters.
    Empty: any of the default provider, and of another one those that it gets by `rename` or `prefix` alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcGroupsConfig(ProviderGroupsConfig):
    """`oidc.groups` of the default provider, and what holds for the groups of all."""

    on_conflict: Literal["merge", "static", "idp"] = "merge"
    """Who is in a group that a policy lists and a provider names: both, the policy's members, or the provider's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderConfig:
    """One provider, who may enter by it, and what its claims mean. No issuer means no sign-in there."""

    issuer: str = ""
    app_id: str = ""
    """SmartLink's App ID, for an issuer that was given without its path."""
    provider_name: str = "OIDC"
    """What the sign-in button calls the provider."""
    client_id: str = ""
    client_secret: str = secret()
    client_secret_path: Path | None = None
    """Read at every use, so that a new secret needs no restart."""
    client_auth: Literal["", "client_secret_basic", "client_secret_post", "private_key_jwt"] = ""
    """How we prove ourselves to the provider; empty: the first of these that it offers."""
    private_key_path: Path | None = None
    """A PEM key in place of a secret, for private_key_jwt."""
    only_start_if_oidc_is_available: bool = True
    scope: tuple[str, ...] = ("openid", "profile", "email")
    email_verified_required: bool = True
    extra_params: Mapping[str, str] = field(default_factory=dict)
    allowed_domains: tuple[str, ...] = ()
    trusted_domains: tuple[str, ...] = ()
    """Domains whose e-mail addresses count when this provider sends them. Empty: any of the default provider, and of
    another one its `allowed_domains` that no other provider has."""
    allowed_users: tuple[str, ...] = ()
    allowed_groups: tuple[str, ...] = ()
    auto_create_users: bool = True
    expiry: timedelta | None = None
    """How long a login keeps a node valid; zero means for ever, unset means `node.expiry`."""
    use_expiry_from_token: bool = False
    pkce: OidcPkceConfig = OidcPkceConfig()
    claims: OidcClaimsConfig = OidcClaimsConfig()
    groups: ProviderGroupsConfig = ProviderGroupsConfig()
    create_namespace_for_user: bool = True
    namespace_format: str = ""
    namespace_claim: str = ""
    ca_path: Path | None = None
    """Extra certificate authorities for the provider's TLS."""
    clock_leeway: timedelta = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcConfig(ProviderConfig):
    """`oidc`: the default provider, and others beside it by name."""

    groups: OidcGroupsConfig = OidcGroupsConfig()
    providers: Mapping[str, ProviderConfig] = field(default_factory=dict)
    """More providers, each with the keys of `oidc`; they inherit nothing from it."""

    def in_use(self) -> dict[str, ProviderConfig]:
        """The providers that are configured, the default first; its name is empty."""
        own: dict[str, ProviderConfig] = {"": replace(self, providers={})} if self.issuer else {}
        return own | {name: provider for name, provider in self.providers.items() if provider.issuer}

    def brings_groups(self) -> bool:
        """Whether any provider's groups are known to policies."""
        return any(provider.groups.enabled for provider in self.in_use().values())

    def all_domains(self) -> tuple[str, ...]:
        """The domains that any provider lets in."""
        return tuple(dict.fromkeys(domain for one in self.in_use().values() for domain in one.allowed_domains))


def key_of_provider(name: str) -> str:
    """Where a provider stands in the file."""
    return f"oidc.providers.{name}" if name else "oidc"
