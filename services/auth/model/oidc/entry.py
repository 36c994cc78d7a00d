"""The entry rules of a provider: checks an identity against the configured lists, and derives the user's name."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from services.auth.model.oidc.claims import claim_at
from services.auth.model.oidc.domains import domain_of, within
from services.auth.model.oidc.groups import similar_names
from services.auth.model.oidc.identity import ProviderIdentity
from services.auth.model.oidc.notice import ClaimNotice
from services.auth.model.oidc.refusal import RefusalReason, SignInError

_FIELD = re.compile(r"\{([^{}]*)\}")
MAX_NAMESPACE = 200
SHOWN_GROUPS = 5
"""Maximum number of an account's groups that a refusal names."""
_FIELDS = frozenset({"email", "email_local", "username", "name", "sub"})


@dataclass(frozen=True, slots=True)
class EntryRules:
    """The entry rules of one provider, from the configuration."""

    domains: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    email_verified_required: bool = True
    create_users: bool = True
    name_format: str = ""
    """The name of a new user; empty: account name, else address."""
    namespace_claim: str = ""
    """The claim that names a user's namespace; empty: users have none."""
    namespace_format: str = ""
    """The namespace of users without that claim; empty: they may not enter."""


def check_entry(identity: ProviderIdentity, rules: EntryRules) -> None:
    """Check an identity against the lists of the configuration.

    Raises:
        SignInError: a list does not contain it, or what the list needs was not sent.
    """
    if rules.domains or rules.users:
        _check_email(identity, rules)
    if rules.groups:
        _check_groups(identity, rules)


def _check_groups(identity: ProviderIdentity, rules: EntryRules) -> None:
    if identity.groups is None and identity.groups_elsewhere:
        raise SignInError(
            RefusalReason.GROUPS_ELSEWHERE,
            "the provider has too many groups of this account to send; let it send only those of the application",
        )
    if identity.groups is None and identity.groups_kind:
        raise SignInError(
            RefusalReason.CLAIM_MALFORMED,
            f"the provider's groups claim is {identity.groups_kind}; a list of names is needed",
        )
    if identity.groups is None:
        raise SignInError(
            RefusalReason.GROUPS_MISSING,
            "the provider did not send the groups of this account; request its groups scope",
        )
    if not set(identity.groups) & set(rules.groups):
        text = f"this account is in no group that may enter{_sent(identity)}"
        raise SignInError(RefusalReason.GROUP_NOT_ALLOWED, text)


def _sent(identity: ProviderIdentity) -> str:
    groups = identity.groups or ()
    listed = ", ".join(groups[:SHOWN_GROUPS]) + (", …" if len(groups) > SHOWN_GROUPS else "")
    return f"; the provider names: {listed}" if groups else "; the provider names no group of it"


def group_hints(identity: ProviderIdentity, rules: EntryRules) -> tuple[str, ...]:
    """Return hints where a sent group differs from an allowed one only in case, path or host; for the log."""
    pairs = similar_names(identity.groups or (), rules.groups)
    return tuple(
        f"allowed_groups has {wanted!r}, the provider sent {sent!r}; names must be equal" for sent, wanted in pairs
    )


def email_notices(identity: ProviderIdentity, rules: EntryRules) -> tuple[ClaimNotice, ...]:
    """Return notices on the parts of an identity that are unused because its address is not marked as verified."""
    if not identity.email or trusted_email(identity, rules):
        return ()
    text = "the e-mail address was left out: the provider does not say that it is verified"
    remedy = (
        "let the provider send email_verified (Entra ID: the optional claim xms_edov), or set "
        "{key}.email_verified_required: false if it verifies every address"
    )
    return (ClaimNotice("email", text, remedy),)


def needs_more(identity: ProviderIdentity, rules: EntryRules) -> bool:
    """Return whether a list of the configuration needs a claim that the identity does not have."""
    return (bool(rules.groups) and identity.groups is None) or (
        bool(rules.domains or rules.users) and not identity.email
    )


def trusted_email(person: ProviderIdentity, rules: EntryRules) -> str:
    """Return the address that policies may match; empty if the provider does not mark it as verified."""
    return person.email if person.email_verified or not rules.email_verified_required else ""


def namespace_for(person: ProviderIdentity, rules: EntryRules) -> str:
    """Return the namespace of an identity; empty if no claim is configured for it.

    Raises:
        SignInError: the claim is missing and no format replaces it, or it is not one name.
    """
    if not rules.namespace_claim:
        return ""
    value = claim_at(person.claims or {}, rules.namespace_claim)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is None or value == "":
        value = fill(rules.namespace_format, person, trusted_email(person, rules))
        if not value:
            raise SignInError(
                RefusalReason.NAMESPACE_MISSING,
                "the provider did not send this account's namespace; ask the administrator",
            )
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if not 0 < len(text) <= MAX_NAMESPACE or not text.isprintable():
        raise SignInError(
            RefusalReason.CLAIM_MALFORMED, "the provider's claim for this account's namespace is not one name"
        )
    return text


def names_for(identity: ProviderIdentity, rules: EntryRules) -> tuple[str, ...]:
    """Return the candidates for a new user's name, the best first, each once.

    A name with an @ must be the account's own verified address, because a policy reads it as one. Of any other such
    account name (an Entra ID UPN, a Kanidm SPN) the part before the @ counts, and of `DOMAIN\\name` the part after it.
    """
    email = trusted_email(identity, rules)
    account = identity.username.rpartition("\\")[2]
    if "@" in account and account.casefold() != email.casefold():
        account = account.partition("@")[0]
    wanted = [fill(rules.name_format, identity, email)] if rules.name_format else []
    wanted += [account, email, identity.email.rpartition("@")[0], identity.name]
    own = {"", email.casefold()}
    return tuple(dict.fromkeys(name for name in wanted if name and ("@" not in name or name.casefold() in own)))


def check_format(template: str) -> None:
    """Check the placeholders of a name format.

    Raises:
        ValueError: it has an unknown placeholder.
    """
    for field in _FIELD.findall(template):
        if field not in _FIELDS and not (field.startswith("claim:") and len(field) > 6):
            raise ValueError(f"{{{field}}} is no placeholder")
    if set("{}") & set(_FIELD.sub("", template)):
        raise ValueError("a brace is not closed")


def fill(template: str, person: ProviderIdentity, email: str) -> str:
    """Fill in a name format; returns empty if a placeholder has no value."""
    known = {
        "email": email,
        "email_local": email.rpartition("@")[0],
        "username": person.username,
        "name": person.name,
        "sub": person.subject,
    }
    missing = False

    def value_of(match: re.Match[str]) -> str:
        nonlocal missing
        field = match.group(1)
        value = claim_at(person.claims or {}, field[6:]) if field.startswith("claim:") else known.get(field)
        missing = missing or not isinstance(value, str) or not value
        return value if isinstance(value, str) else ""

    filled = _FIELD.sub(value_of, template)
    return "" if missing else filled


def _check_email(person: ProviderIdentity, rules: EntryRules) -> None:
    if not person.email:
        raise SignInError(RefusalReason.EMAIL_MISSING, "the provider sent no usable e-mail address of this account")
    if rules.email_verified_required and not person.email_verified:
        raise SignInError(
            RefusalReason.EMAIL_UNVERIFIED, "the provider does not say that this account's e-mail address is verified"
        )
    domain = domain_of(person.email)
    if rules.domains and not any(within(domain, allowed) for allowed in rules.domains):
        raise SignInError(RefusalReason.DOMAIN_NOT_ALLOWED, "the domain of this account may not enter")
    if rules.users and not _listed(person.email, rules.users):
        raise SignInError(RefusalReason.USER_NOT_ALLOWED, "this account may not enter")


def _listed(email: str, users: Collection[str]) -> bool:
    return email.casefold() in {user.casefold() for user in users}
