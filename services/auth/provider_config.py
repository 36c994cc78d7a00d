"""Reads one provider's section of the configuration into the values that sign-in and its doctor work with."""

from __future__ import annotations

from dataclasses import replace

from services.auth.idp.client_auth import ClientCredentials, UnusableSecretError
from services.auth.idp.http import ProviderHttp
from services.auth.model.oidc.entry import EntryRules, check_format
from services.auth.model.oidc.groups import GroupNames, read_patterns
from services.auth.model.oidc.identity import ClaimNames
from services.auth.model.oidc.trust import UNLIMITED, ProviderTrust, StatedTrust, trust_of
from services.auth.usecases.authorization import SignInSettings
from services.shared.config.errors import ConfigError, ConfigProblem
from services.shared.config.login import OidcConfig, ProviderConfig, key_of_provider
from services.shared.config.model import Config
from services.shared.file_rights import unreadable

_PLACE = "configuration"
"""The place of a key whose line is not known."""


def credentials_of(config: ProviderConfig) -> ClientCredentials:
    """Return the client credentials for a provider."""
    return ClientCredentials(
        config.client_id, config.client_secret, config.client_secret_path, config.private_key_path, config.client_auth
    )


def open_provider_http(name: str, config: ProviderConfig) -> ProviderHttp:
    """Return the HTTP client for a provider.

    Raises:
        ConfigError: the extra authorities cannot be read.
    """
    try:
        return ProviderHttp(config.ca_path)
    except OSError:
        assert config.ca_path is not None  # the system's own authorities are not read from a file of ours
        what = f"{config.ca_path} contains no certificate in PEM form"
        found = unreadable(config.ca_path) or (what, "name a file of PEM certificates")
        problem = ConfigProblem(_PLACE, f"{key_of_provider(name)}.ca_path", *found)
        raise ConfigError([problem]) from None


def check_provider(name: str, config: ProviderConfig, credentials: ClientCredentials) -> None:
    """Check the parts of a provider's section that need no request to the provider.

    Raises:
        ConfigError: the name format has an unknown placeholder, or the secret is malformed.
    """
    key = key_of_provider(name)
    try:
        check_format(config.namespace_format)
    except ValueError as error:
        remedy = "use {email}, {email_local}, {username}, {name}, {sub} or {claim:NAME}"
        raise ConfigError([ConfigProblem(_PLACE, f"{key}.namespace_format", str(error), remedy)]) from None
    if config.private_key_path is not None:
        try:
            credentials.signing_key()
        except UnusableSecretError as error:
            remedy = "name the PEM file of an RSA or EC key without a passphrase"
            raise ConfigError([ConfigProblem(_PLACE, f"{key}.private_key_path", str(error), remedy)]) from None
        if not config.client_secret and config.client_secret_path is None:
            return
    try:
        credentials.current_secret()
    except UnusableSecretError as error:
        at = f"{key}.client_secret_path" if config.client_secret_path is not None else f"{key}.client_secret"
        raise ConfigError([ConfigProblem(_PLACE, at, str(error), "copy it from your provider's page again")]) from None


def check_providers(config: Config) -> None:
    """Check the sections of all providers as a start does; asks no provider.

    Raises:
        ConfigError: some part cannot be used; each problem has the place of its key.
    """
    problems: list[ConfigProblem] = []
    for name, provider in config.oidc.in_use().items():
        try:
            check_provider(name, provider, credentials_of(provider))
            open_provider_http(name, provider)
        except ConfigError as error:
            problems.extend(placed(config, error))
    if problems:
        raise ConfigError(problems)


def placed(config: Config, error: ConfigError) -> list[ConfigProblem]:
    """Return the problems of a provider's section with the places of their keys."""
    fallback = str(config.source or _PLACE)
    return [replace(one, where=config.places.get(one.key, fallback)) for one in error.problems]


def redirect_uri_of(server_url: str, name: str) -> str:
    """Return the redirect URL of a provider: each has its own, as a defence against mix-up attacks (RFC 9700 §4.4)."""
    return f"{server_url.rstrip('/')}/oidc/callback" + (f"/{name}" if name else "")


def trust_in(oidc: OidcConfig, name: str) -> ProviderTrust:
    """Return a function for the trusted addresses and groups of a provider; the first one in use is the primary one."""
    stated = {other: _stated(config) for other, config in oidc.in_use().items()}
    own = stated.pop(name)
    return trust_of(own, stated.values(), primary=name == next(iter(oidc.in_use())))


def _stated(config: ProviderConfig) -> StatedTrust:
    return StatedTrust(
        trusted_domains=config.trusted_domains,
        allowed_domains=config.allowed_domains,
        allow=config.groups.allow,
        mapped=tuple(config.groups.rename.values()),
        prefix=config.groups.prefix,
        allowed_groups=config.allowed_groups,
    )


def settings_of(server_url: str, name: str, config: ProviderConfig, trust: ProviderTrust = UNLIMITED) -> SignInSettings:
    """Return the settings of sign-ins at one provider of the configuration; `trust` as `trust_in` returns it."""
    claims = config.claims
    return SignInSettings(
        client_id=config.client_id,
        redirect_uri=redirect_uri_of(server_url, name),
        scope=config.scope,
        extra_params=config.extra_params,
        leeway=config.clock_leeway,
        claims=ClaimNames(claims.email, claims.name, claims.groups, claims.username, claims.picture),
        entry=EntryRules(
            domains=config.allowed_domains,
            users=config.allowed_users,
            groups=config.allowed_groups,
            email_verified_required=config.email_verified_required,
            create_users=config.auto_create_users,
            name_format=config.namespace_format if config.create_namespace_for_user else "",
            namespace_claim=claims.namespace or config.namespace_claim,
            namespace_format=config.namespace_format,
        ),
        groups=GroupNames(config.groups.rename, read_patterns(config.groups.patterns), config.groups.prefix),
        groups_count=config.groups.enabled,
        trust=trust,
        config_key=key_of_provider(name),
        key_lifetime=config.expiry,
        expiry_from_token=config.use_expiry_from_token,
    )
