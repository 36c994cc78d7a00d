"""Reads the groups claim in the forms that providers send it: names, one name, objects, or roles as members.

    "dev"                                             one name (JumpCloud)
    ["dev", "/ops/db"]                                names, or paths (Keycloak)
    "[\\"dev\\", \\"ops\\"]"                              a list written as text (claim mappers)
    [{"id": "1", "name": "dev"}]                      objects (SCIM-shaped providers)
    {"dev": {"2389": "example.com"}}                  roles as members of one object (Zitadel)

Entries without a name are left out and counted. A claim of another kind leaves the groups unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from services.auth.model.oidc.claims import cleaned, kind_of

MAX_SENT = 20_000
"""Maximum number of entries read; more do not fit into the largest accepted document."""
MAX_NAME = 256
"""Characters of a group's name, as in the registry."""
_NAME_MEMBERS = ("name", "displayName", "display", "value", "display_name", "path", "cn", "slug")
"""Members of an object that can hold a group's name, the best first. The second to fourth are SCIM's (RFC 7643), `path`
is Keycloak's, `cn` that of directories."""


@dataclass(frozen=True, slots=True)
class SentGroups:
    """The groups of one account as the provider sends them."""

    names: tuple[str, ...] | None
    """Sorted, each once; None if the claim is missing or has no names."""
    entries: int = 0
    """Number of entries of the claim."""
    unusable: tuple[str, ...] = ()
    """Reasons why entries were left out, one text for each kind."""
    dropped: int = 0
    """Number of entries left out."""
    kind: str = ""
    """The kind of the claim if it has no names, such as "a number"; else empty."""


def read_sent_groups(value: Any) -> SentGroups:
    """Read the value of a groups claim; None means that the claim is missing."""
    if value is None:
        return SentGroups(None)
    entries = _entries(value)
    if entries is None:
        return SentGroups(None, kind=kind_of(value))
    names: set[str] = set()
    reasons: dict[str, int] = {}
    for entry in entries[:MAX_SENT]:
        name, reason = _name(entry)
        if reason:
            reasons[reason] = reasons.get(reason, 0) + 1
        elif name:
            names.add(name)
    if len(entries) > MAX_SENT:
        reasons[f"beyond the first {MAX_SENT}"] = len(entries) - MAX_SENT
    texts = tuple(f"{number} {reason}" for reason, number in sorted(reasons.items()))
    return SentGroups(tuple(sorted(names)), len(entries), texts, sum(reasons.values()))


def _entries(value: Any) -> list[Any] | None:
    if isinstance(value, str):
        return _listed(value)
    if isinstance(value, list):
        return value
    if isinstance(value, Mapping):
        return [value] if _member(value) else [name for name, granted in value.items() if granted]
    return None


def _listed(text: str) -> list[Any]:
    if text.lstrip().startswith("["):
        try:
            return msgspec.json.decode(text, type=list[Any])
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            pass  # a name may begin with a bracket
    return [text]


def _name(entry: Any) -> tuple[str, str]:
    """Return the name in an entry, or the reason why it has no usable one."""
    if isinstance(entry, Mapping):
        found = _member(entry)
        if not found:
            return "", "without a name"
    elif isinstance(entry, str):
        found = entry
    elif isinstance(entry, int) and not isinstance(entry, bool):
        found = str(entry)  # a numeric id
    else:
        return "", f"that are {kind_of(entry)}"
    name = cleaned(found)
    return (name, "") if len(name) <= MAX_NAME else ("", f"longer than {MAX_NAME} characters")


def _member(entry: Mapping[str, Any]) -> str:
    members: Iterable[Any] = (entry.get(name) for name in _NAME_MEMBERS)
    return next((found for found in members if isinstance(found, str) and found.strip()), "")
