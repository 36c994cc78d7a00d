"""Evaluates the entry rules of the configuration for an identity, by what its last sign-in stored. Asks no provider."""

from __future__ import annotations

from dataclasses import dataclass

from services.auth.doctor.report import DoctorReport
from services.auth.model.oidc.discovery import effective_issuer, origin_of
from services.auth.model.oidc.entry import check_entry
from services.auth.model.oidc.groups import similar_names
from services.auth.model.oidc.identity import ProviderIdentity
from services.auth.model.oidc.refusal import SignInError
from services.auth.provider_config import settings_of, trust_in
from services.shared.config import Config, ProviderConfig

_REMEDIES = {
    "domain-not-allowed": "add the domain to oidc.allowed_domains",
    "user-not-allowed": "add the address to oidc.allowed_users",
    "group-not-allowed": "add one of their groups to oidc.allowed_groups, or them to a group at the provider",
    "groups-missing": "enable the groups scope at the provider and in oidc.scope; they must sign in again",
    "email-missing": "let the provider send an address that it has verified",
}


@dataclass(frozen=True, slots=True)
class StoredIdentity:
    """An identity of a user, as the running server stores it."""

    issuer: str
    subject: str
    email: str
    """Verified by the provider, or empty."""
    groups: tuple[str, ...] | None
    """None: the provider never sent groups."""
    last_sign_in: str
    """When, as text for people."""


def examine_identity(report: DoctorReport, identity: StoredIdentity, config: Config) -> None:
    """Add whether this identity may enter by the configuration, and which group names nearly match."""
    found = _provider_of(identity.issuer, config)
    if found is None:
        report.warn(
            "link", f"their identity at {identity.issuer} belongs to no configured provider",
            "they signed in at another provider, or the issuer was changed",
            "let them sign in again, and give the new identity to this user: headscale users relink",
        )  # fmt: skip
        return
    name, provider = found
    settings = settings_of(config.server_url, name, provider, trust_in(config.oidc, name))
    rules = settings.entry
    person = ProviderIdentity(
        identity.issuer,
        identity.subject,
        email=identity.email,
        email_verified=bool(identity.email),
        groups=identity.groups,
    )
    try:
        check_entry(person, rules)
    except SignInError as error:
        remedy = _REMEDIES.get(error.reason.value, "compare oidc.allowed_* with what the provider sends")
        text = f"by their last sign-in ({identity.last_sign_in}): {error}"
        report.fail("entry", text, error.reason.value, remedy)
    else:
        report.ok("entry", f"by their last sign-in ({identity.last_sign_in}) they may enter")
    for sent, wanted in similar_names(identity.groups or (), rules.groups):
        text = f"allowed_groups has {wanted!r}, the provider sent {sent!r}"
        report.warn("groups-names", text, "names must be equal exactly", f"write {sent!r} into oidc.allowed_groups")


def _provider_of(issuer: str, config: Config) -> tuple[str, ProviderConfig] | None:
    """Return the provider of an identity: by its issuer, else by its origin where the issuer names no application."""
    providers = config.oidc.in_use()
    exact = [
        (name, one) for name, one in providers.items() if effective_issuer(one.issuer, one.app_id) == issuer.rstrip("/")
    ]
    near = [(name, one) for name, one in providers.items() if origin_of(one.issuer) == issuer.rstrip("/").lower()]
    return next(iter((*exact, *near)), None)
