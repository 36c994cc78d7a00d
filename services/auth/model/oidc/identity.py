"""From the provider's documents to a person: which claim carries what, and which document is believed for it.

User info is asked after the ID token and knows more, so it wins claim by claim; an address and whether it is verified
come from the same document, or one could lend the other its truth.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from services.auth.model.oidc.refusal import RefusalReason, SignInError

Document = Mapping[str, Any]

MAX_TEXT = 320
MAX_URL = 2048
MAX_GROUPS = 1000
MAX_GROUP = 256


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """Which claim carries what; a name that no claim has as it stands is a path with dots."""

    email: str = "email"
    name: str = "name"
    groups: str = "groups"
    username: str = "preferred_username"
    picture: str = "picture"


@dataclass(frozen=True, slots=True)
class ProviderIdentity:
    """Whom the provider vouches for."""

    issuer: str
    subject: str
    username: str = ""
    name: str = ""
    email: str = ""
    email_verified: bool = False
    picture: str = ""
    groups: tuple[str, ...] | None = None
    """None: not said."""
    groups_elsewhere: bool = False
    """The provider says that there are too many to send and where to ask."""
    claims: Mapping[str, Any] | None = None


def claim_at(document: Document, name: str) -> Any:
    """The value of a claim: under the whole name, else along its dots; None when there is none."""
    if not name:
        return None
    if name in document:
        return document[name]
    value: Any = document
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def read_person(issuer: str, subject: str, documents: Sequence[Document], names: ClaimNames) -> ProviderIdentity:
    """Read a person; the first document that has a claim is believed for it.

    Raises:
        SignInError: the groups are something else than names.
    """
    email, verified = _email(documents, names.email)
    elsewhere = any(
        document.get("hasgroups") is True or names.groups in _mapping(document.get("_claim_names"))
        for document in documents
    )
    picture = _first(documents, names.picture)
    return ProviderIdentity(
        issuer=issuer,
        subject=subject,
        username=_line(_first(documents, names.username)),
        name=_line(_first(documents, names.name)),
        email=email,
        email_verified=verified,
        picture=picture if isinstance(picture, str) and _is_web(picture) else "",
        groups=_groups(_first(documents, names.groups)),
        groups_elsewhere=elsewhere,
        claims={name: value for document in reversed(documents) for name, value in document.items()},
    )


def _email(documents: Sequence[Document], claim: str) -> tuple[str, bool]:
    for document in documents:
        email = claim_at(document, claim)
        if isinstance(email, str) and email.strip():
            text = _line(email.strip())
            local, _, domain = text.rpartition("@")
            if not local or not domain or any(mark.isspace() for mark in text) or "@" in local:
                return "", False
            said = document.get("email_verified")
            return text, said is True or (isinstance(said, str) and said.strip().lower() == "true")
    return "", False


def _groups(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        raise SignInError(RefusalReason.CLAIM_MALFORMED, "the provider's groups are not a list of names")
    groups = sorted({_cleaned(item) for item in listed} - {""})
    if len(groups) > MAX_GROUPS or any(len(group) > MAX_GROUP for group in groups):
        raise SignInError(RefusalReason.CLAIM_MALFORMED, f"more than {MAX_GROUPS} groups, or one with too long a name")
    return tuple(groups)


def _first(documents: Sequence[Document], claim: str) -> Any:
    return next((value for document in documents if (value := claim_at(document, claim)) is not None), None)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _line(value: Any) -> str:
    return _cleaned(value)[:MAX_TEXT] if isinstance(value, str) else ""


def _cleaned(text: str) -> str:
    # Control and format characters could turn one name into the looks of another.
    kept = "".join(mark for mark in text if unicodedata.category(mark) not in ("Cc", "Cf", "Cs", "Zl", "Zp", "Co"))
    return " ".join(kept.split())


def _is_web(url: str) -> bool:
    if len(url) > MAX_URL or any(mark in url for mark in ' "<>\\^`{|}') or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("https", "http") and bool(parts.hostname)
