"""Checks of `oidc`, for each provider alone and for all together: errors and warnings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from services.shared.config.errors import Found
from services.shared.config.login import PROVIDER_NAME, ProviderConfig, key_of_provider
from services.shared.config.model import Config

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PLAIN = (
    "is http:// on another host, where anyone on the network path could sign in as any user",
    "give the provider a certificate and write https://",
)
_SAMPLES = ("your-smartlink", "your-tenant", "your-app-id")


def login_errors(config: Config) -> Iterator[Found]:
    """Yield the errors that prevent a start."""
    oidc = config.oidc
    for name, provider in {"": oidc, **oidc.providers}.items():
        key = key_of_provider(name)
        if name and not PROVIDER_NAME.match(name):
            yield key, "is not a valid name for a provider", "write at most 32 lower-case letters, digits and -"
        if name and not provider.issuer:
            yield f"{key}.issuer", "is missing", "copy the issuer from the provider's page"
        yield from _provider_errors(key, provider)
    yield from _clashes(config)
    server = urlsplit(config.server_url)
    if oidc.in_use() and server.scheme == "http" and server.hostname not in _LOOPBACK:
        yield "server_url", "is http://, which is not safe for signing in", "write https://, or remove the section oidc"


def _provider_errors(key: str, provider: ProviderConfig) -> Iterator[Found]:
    if provider.client_secret and provider.client_secret_path is not None:
        yield f"{key}.client_secret_path", f"is set together with {key}.client_secret", "keep one of them"
    if not provider.issuer:
        return
    yield from _issuer_errors(f"{key}.issuer", provider)
    yield from _client_errors(key, provider)
    for pattern, name in provider.groups.patterns.items():
        if (trouble := _pattern_trouble(pattern, name)) is not None:
            what = f"contains the pattern `{pattern}`, which cannot be used: {trouble}"
            yield f"{key}.groups.patterns", what, "write a regular expression, and \\1 for what is in parentheses"
    if "openid" not in provider.scope:
        yield f"{key}.scope", "does not contain openid", "add openid to the list"
    if not timedelta(0) <= provider.clock_leeway <= timedelta(minutes=10):
        yield f"{key}.clock_leeway", "is not between 0 and 10m", "write 1m"


def _issuer_errors(key: str, provider: ProviderConfig) -> Iterator[Found]:
    if not _is_web(provider.issuer):
        yield key, "is not an https:// URL", "copy the issuer from your provider's page"
    elif _is_plain(provider.issuer) and provider.only_start_if_oidc_is_available:
        yield key, *_PLAIN
    if any(mark in provider.issuer for mark in "[]<>{} "):
        yield key, "still contains a placeholder or a space", "replace it by what your provider's page shows"


def _client_errors(key: str, provider: ProviderConfig) -> Iterator[Found]:
    if not provider.client_id:
        yield f"{key}.client_id", "is missing", "copy it from your provider's page"
    if not provider.client_secret and provider.client_secret_path is None and provider.private_key_path is None:
        remedy = f"copy it from your provider's page, or set {key}.client_secret_path"
        yield f"{key}.client_secret", "is missing", remedy


def _is_plain(issuer: str) -> bool:
    """Return whether an issuer is asked over http:// and is not on this machine: sign-in refuses such a provider."""
    parts = urlsplit(issuer.strip())
    return parts.scheme == "http" and parts.hostname not in _LOOPBACK


def _pattern_trouble(pattern: str, name: str) -> str | None:
    try:
        groups = re.compile(pattern).groups
        # An expansion is only possible with a match; one of as many empty groups stands in for any.
        stand_in = re.fullmatch("()" * groups, "")
        assert stand_in is not None
        stand_in.expand(name)
    except (re.error, IndexError) as error:
        return str(error)
    return None


def _is_web(text: str) -> bool:
    try:
        parts = urlsplit(text.strip())
        return parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _clashes(config: Config) -> Iterator[Found]:
    seen: dict[tuple[str, str, str], str] = {}
    for name, provider in config.oidc.in_use().items():
        same = (provider.issuer.rstrip("/"), provider.app_id, provider.client_id)
        if same in seen:
            key = key_of_provider(name)
            yield f"{key}.client_id", f"is the same application as {key_of_provider(seen[same])}", "keep one of them"
        seen.setdefault(same, name)


def login_warnings(config: Config) -> Iterator[Found]:
    """Yield the warnings."""
    for name, provider in config.oidc.in_use().items():
        key = key_of_provider(name)
        if any(sample in provider.issuer.lower() for sample in _SAMPLES):
            yield f"{key}.issuer", "is the example of a guide", "put in your tenant and App ID"
        if _is_web(provider.issuer) and _is_plain(provider.issuer):
            what, remedy = _PLAIN
            yield f"{key}.issuer", f"{what}; sign-in there is refused", remedy
        if not provider.pkce.enabled:
            yield f"{key}.pkce.enabled", "is off", "PKCE is sent all the same: providers that do not know it ignore it"
        if provider.pkce.method == "plain":
            yield (
                f"{key}.pkce.method",
                "is plain",
                "S256 is sent: plain does not protect the code",
            )
        if provider.allowed_groups and provider.claims.groups == "groups" and "groups" not in provider.scope:
            yield (
                f"{key}.allowed_groups",
                "is given, and oidc.scope does not ask for groups",
                "add groups to the scope unless your provider sends them unasked",
            )
        if provider.expiry and config.node.expiry:
            yield (
                f"{key}.expiry",
                "is given beside node.expiry",
                "it holds for devices that sign in, node.expiry for others",
            )
    yield from _untrusted(config)


def _untrusted(config: Config) -> Iterator[Found]:
    """Return further providers without trusted domains or groups: theirs reach no policy."""
    providers = config.oidc.in_use()
    for name, provider in list(providers.items())[1:]:
        key = key_of_provider(name)
        if not provider.trusted_domains and not provider.allowed_domains:
            yield (
                f"{key}.trusted_domains",
                "is empty, so no e-mail address that this provider sends counts in policies",
                "list the domains that it may name, or allowed_domains",
            )
        groups = provider.groups
        if groups.enabled and not (groups.allow or groups.prefix or groups.rename):
            yield (
                f"{key}.groups.allow",
                "is empty, so no group that this provider sends counts in policies",
                f"list the groups that it may name, set {key}.groups.prefix, or {key}.groups.enabled: false",
            )
