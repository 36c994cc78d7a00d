"""Who may enter, and under which name. All lists that are given must be met; the lists are the operator's."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from services.auth.model.oidc.identity import ProviderIdentity, claim_at
from services.auth.model.oidc.refusal import RefusalReason, SignInError

_FIELD = re.compile(r"\{([^{}]*)\}")
MAX_NAMESPACE = 200
_FIELDS = frozenset({"email", "email_local", "username", "name", "sub"})


@dataclass(frozen=True, slots=True)
class EntryRules:
    """What the configuration says of who may enter."""

    domains: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    email_verified_required: bool = True
    create_users: bool = True
    name_format: str = ""
    """For the name of a new user; empty: user name, else address."""
    namespace_claim: str = ""
    """Which claim says what a person belongs to; empty: people belong to nothing but themselves."""
    namespace_format: str = ""
    """What they belong to where that claim is missing; empty: then they may not enter."""


def check_entry(person: ProviderIdentity, rules: EntryRules) -> None:
    """Let a person pass or not.

    Raises:
        SignInError: a list does not have them, or what it needs is not known.
    """
    if rules.domains or rules.users:
        _check_email(person, rules)
    if not rules.groups:
        return
    if person.groups is None and person.groups_elsewhere:
        raise SignInError(
            RefusalReason.GROUPS_ELSEWHERE,
            "the provider has too many groups of this account to send; let it send fewer",
        )
    if person.groups is None:
        raise SignInError(
            RefusalReason.GROUPS_MISSING,
            "the provider did not say which groups this account is in; ask for its groups scope",
        )
    if not set(person.groups) & set(rules.groups):
        raise SignInError(RefusalReason.GROUP_NOT_ALLOWED, "this account is in no group that may enter")


def trusted_email(person: ProviderIdentity, rules: EntryRules) -> str:
    """The address that may be matched against policies; nothing when nobody vouches for it."""
    return person.email if person.email_verified or not rules.email_verified_required else ""


def namespace_for(person: ProviderIdentity, rules: EntryRules) -> str:
    """What a person belongs to; nothing where no claim is configured for it.

    Raises:
        SignInError: the claim is missing and there is nothing in its place, or it is not one name.
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
                "the provider did not say what this account belongs to; ask the administrator",
            )
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if not 0 < len(text) <= MAX_NAMESPACE or not text.isprintable():
        raise SignInError(
            RefusalReason.CLAIM_MALFORMED, "what the provider says this account belongs to is not one name"
        )
    return text


def names_for(person: ProviderIdentity, rules: EntryRules) -> tuple[str, ...]:
    """Names to try for a new user, the best first.

    A name with an @ must be the person's own address: a policy would take it for one.
    """
    email = trusted_email(person, rules)
    wanted = [fill(rules.name_format, person, email)] if rules.name_format else []
    wanted += [person.username, email, person.name]
    own = {"", email.casefold()}
    return tuple(name for name in wanted if name and ("@" not in name or name.casefold() in own))


def check_format(template: str) -> None:
    """Refuse a name format that can never be filled.

    Raises:
        ValueError: it has an unknown placeholder.
    """
    for field in _FIELD.findall(template):
        if field not in _FIELDS and not (field.startswith("claim:") and len(field) > 6):
            raise ValueError(f"{{{field}}} is no placeholder")
    if set("{}") & set(_FIELD.sub("", template)):
        raise ValueError("a brace is not closed")


def fill(template: str, person: ProviderIdentity, email: str) -> str:
    """A name by the format; nothing when a part of it is not known."""
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
        raise SignInError(RefusalReason.EMAIL_MISSING, "the provider named no e-mail address of this account")
    if rules.email_verified_required and not person.email_verified:
        raise SignInError(
            RefusalReason.EMAIL_UNVERIFIED, "the provider does not vouch for this account's e-mail address"
        )
    domain = _domain(person.email.rpartition("@")[2])
    if rules.domains and not any(_within(domain, allowed) for allowed in rules.domains):
        raise SignInError(RefusalReason.DOMAIN_NOT_ALLOWED, "the domain of this account may not enter")
    if rules.users and not _listed(person.email, rules.users):
        raise SignInError(RefusalReason.USER_NOT_ALLOWED, "this account may not enter")


def _listed(email: str, users: Collection[str]) -> bool:
    return email.casefold() in {user.casefold() for user in users}


def _within(domain: str, allowed: str) -> bool:
    if allowed.startswith("*."):
        return domain.endswith("." + _domain(allowed[2:]))
    return domain == _domain(allowed)


def _domain(text: str) -> str:
    bare = text.strip().rstrip(".").lower().removeprefix("@")
    try:
        return bare.encode("idna").decode()
    except UnicodeError:
        return bare
