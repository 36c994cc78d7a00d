"""Reads an identity from a provider's documents: by which claims, and which document takes precedence.

User info is fetched after the ID token and is more complete, so it wins claim by claim. An address and whether it is
verified are read from the same document: from two, one could make the other's address appear verified. Unusable
claims are left out and noted; they never end the sign-in by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.auth.model.oidc.claims import (
    Document,
    claim_at,
    first_claim,
    is_true,
    is_web_url,
    text_of,
)
from services.auth.model.oidc.notice import ClaimNotice
from services.auth.model.oidc.sent_groups import SentGroups, read_sent_groups

DOMAIN_VERIFIED = "xms_edov"
"""Entra ID's optional claim that the owner of the address's domain verified it; Entra sends no `email_verified`."""
_LIST_OF_NAMES = "let the provider send a list of names, or set {key}.claims.groups to the claim that has one"


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """The claim for each attribute; a name that no claim has literally is a dotted path."""

    email: str = "email"
    name: str = "name"
    groups: str = "groups"
    username: str = "preferred_username"
    picture: str = "picture"


@dataclass(frozen=True, slots=True)
class ProviderIdentity:
    """An account at a provider, as the provider describes it."""

    issuer: str
    subject: str
    username: str = ""
    name: str = ""
    email: str = ""
    email_verified: bool = False
    picture: str = ""
    groups: tuple[str, ...] | None = None
    """None: not sent, or not readable."""
    groups_elsewhere: bool = False
    """The provider sent a pointer instead of the groups, because there are too many (Entra ID's overage claim)."""
    groups_kind: str = ""
    """The kind of the groups claim if no names can be read from it, such as "a number"; else empty."""
    claims: Mapping[str, Any] | None = None
    notices: tuple[ClaimNotice, ...] = ()
    """Notices on claims that were not used."""


def read_identity(issuer: str, subject: str, documents: Sequence[Document], names: ClaimNames) -> ProviderIdentity:
    """Read an identity; each claim is taken from the first document that has it."""
    email, verified, malformed = _email(documents, names.email)
    elsewhere = any(
        document.get("hasgroups") is True or names.groups in _mapping(document.get("_claim_names"))
        for document in documents
    )
    picture = first_claim(documents, names.picture)
    usable_picture = isinstance(picture, str) and is_web_url(picture)
    groups = read_sent_groups(first_claim(documents, names.groups))
    notices = [malformed] if malformed is not None else []
    if picture and not usable_picture:
        text = "the picture was left out: only http and https URLs of at most 2048 characters are kept"
        notices.append(ClaimNotice(names.picture, text, "let the provider send the URL of the picture, or none"))
    notices += _group_notices(names.groups, groups, elsewhere=elsewhere)
    return ProviderIdentity(
        issuer=issuer,
        subject=subject,
        username=text_of(first_claim(documents, names.username)),
        name=text_of(first_claim(documents, names.name)),
        email=email,
        email_verified=verified,
        picture=picture if usable_picture else "",
        groups=groups.names,
        groups_elsewhere=elsewhere,
        groups_kind=groups.kind,
        claims={name: value for document in reversed(documents) for name, value in document.items()},
        notices=tuple(notices),
    )


def account_text(identity: ProviderIdentity) -> str:
    """Return the provider's name for the account, to show to the person; unverified, for no other use."""
    return identity.email or identity.username or identity.name


def _email(documents: Sequence[Document], claim: str) -> tuple[str, bool, ClaimNotice | None]:
    """Return the address, whether it is verified, and the notices if it is unusable."""
    for document in documents:
        email = text_of(claim_at(document, claim))
        if not email:
            continue
        local, _, domain = email.rpartition("@")
        if not local or not domain or " " in email or "@" in local:
            text = "the e-mail address was left out: it is not one address"
            return "", False, ClaimNotice(claim, text, "correct the account's address at the provider")
        verified = document.get("email_verified")
        return email, is_true(document.get(DOMAIN_VERIFIED) if verified is None else verified), None
    return "", False, None


def _group_notices(claim: str, groups: SentGroups, *, elsewhere: bool) -> list[ClaimNotice]:
    if groups.kind:
        return [ClaimNotice(claim, f"the groups were left out: the claim is {groups.kind}", _LIST_OF_NAMES)]
    if groups.names is None and elsewhere:
        text = "the groups were left out: the account has more than the provider puts into a token"
        return [ClaimNotice(claim, text, "let the provider send only the groups that are assigned to the application")]
    if groups.dropped:
        text = f"{groups.dropped} of {groups.entries} groups were left out: {', '.join(groups.unusable)}"
        return [ClaimNotice(claim, text, _LIST_OF_NAMES)]
    return []


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
