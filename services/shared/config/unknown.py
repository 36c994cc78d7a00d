"""Keys that no section has: which are refused, which are ignored with a warning, and what was surely meant.

Headscale ignores keys that it does not know, so files that work there have some. In sections that only this server has
nothing is ignored, and neither is a misspelt key that restricts access.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

KeyPath = tuple[str, ...]

OURS: frozenset[KeyPath] = frozenset(
    (
        ("services",),
        ("gateway",),
        ("telemetry",),
        ("bus",),
        ("oidc", "claims"),
        ("oidc", "groups"),
        ("oidc", "providers"),
    )
)
"""Sections that Headscale never had."""

CLOSING: frozenset[str] = frozenset(
    (
        "trusted_proxies",
        "metrics_allowed_networks",
        "unix_socket_permission",
        "tls_cert_path",
        "tls_key_path",
        "tls_letsencrypt_hostname",
        "policy.path",
        "acl_policy_path",
        "derp.server.verify_clients",
        "oidc.allowed_domains",
        "oidc.allowed_users",
        "oidc.allowed_groups",
        "oidc.email_verified_required",
        "oidc.auto_create_users",
    )
)
"""Keys that restrict access: ignoring a misspelt one would open it."""

IGNORED = "is not a key of this server, and is ignored"

_LONG = 9
"""Letters of a name from which on two slips are still surely a slip."""


@dataclass(frozen=True, slots=True)
class KeyVerdict:
    """The verdict on an unknown key: refused or ignored, and the key that was probably meant (empty: unclear)."""

    refused: bool
    what: str
    remedy: str = ""


def judge(
    path: KeyPath, known: Sequence[KeyPath], old: Sequence[KeyPath] = (), empty_above: tuple[KeyPath, ...] = ()
) -> KeyVerdict:
    """Decide about an unknown key, given the keys of today and the old ones.

    `empty_above` are empty sections that stand before it in the same section.
    """
    lost = next((above for above in reversed(empty_above) if _has((*known, *old), (*above, path[-1]))), None)
    if lost is not None:
        name = ".".join(lost)
        return KeyVerdict(
            True, "no such key", f"if it belongs to `{name}`, whose section is empty, indent it below that"
        )
    meant = _suggestion(path, known)
    remedy = f"did you mean `{meant}`?" if meant else ""
    if meant in CLOSING:
        return KeyVerdict(True, "no such key, and the key that it resembles restricts access", remedy)
    if any(path[: len(section)] == section for section in OURS):
        return KeyVerdict(True, "no such key", remedy or "remove it, or see the list of keys in the documentation")
    return KeyVerdict(False, IGNORED, remedy)


def _has(known: Sequence[KeyPath], path: KeyPath) -> bool:
    return any(key[: len(path)] == path for key in known)


def _suggestion(path: KeyPath, known: Sequence[KeyPath]) -> str:
    """Return the key that was surely meant; empty where there is none or more than one."""
    for candidates in (
        _with_other_separators(path, known),
        _similar_sibling(path, known),
        _below(path, known),
        _elsewhere(path, known),
    ):
        found = set(candidates)
        if len(found) == 1:
            return ".".join(found.pop())
        if found:
            return ""
    return ""


def _with_other_separators(path: KeyPath, known: Sequence[KeyPath]) -> Iterable[KeyPath]:
    """`node_expiry` for node.expiry."""
    text = _plain("_".join(path))
    return (key for key in known if key != path and _plain("_".join(key)) == text)


def _similar_sibling(path: KeyPath, known: Sequence[KeyPath]) -> Iterable[KeyPath]:
    """Return a slip in a name of the same section."""
    above, name = path[:-1], path[-1]
    siblings = {key[: len(path)] for key in known if len(key) >= len(path) and key[: len(above)] == above}
    return (key for key in siblings if is_slip(_plain(name), _plain(key[-1])))


def _below(path: KeyPath, known: Sequence[KeyPath]) -> Iterable[KeyPath]:
    """`sqlite.path` for database.sqlite.path, unless the root has a `path` that may be meant as well."""
    return (key for key in known if len(path) > 1 and (key == path[-1:] or key[-len(path) :] == path))


def _elsewhere(path: KeyPath, known: Sequence[KeyPath]) -> Iterable[KeyPath]:
    """Return the same name in another place below the same section, or a telling one in any."""
    name = path[-1]
    found = {key for key in known if _plain(key[-1]) == _plain(name) and len(key) > 1}
    if len(path) > 1:
        return (key for key in found if key[0] == path[0])
    return found if "_" in name else ()


def _plain(name: str) -> str:
    return name.lower().replace("-", "_").rstrip("s")


def is_slip(name: str, other: str) -> bool:
    """Return whether a name is surely another one, misspelt."""
    if name.replace("_", "") == other.replace("_", ""):
        return True
    allowed = 2 if min(len(name), len(other)) >= _LONG else 1
    return min(len(name), len(other)) >= 4 and _distance(name, other, allowed) <= allowed


def _distance(one: str, other: str, most: int) -> int:
    """Insertions, removals, replacements and swaps of neighbours between two texts; `most` + 1 where there are more."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, left in enumerate(one, 1):
        previous, before, row = before, row, [i]
        for j, right in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (left != right))
            if i > 1 and j > 1 and left == other[j - 2] and one[i - 2] == right:
                cost = min(cost, previous[j - 2] + 1)
            row.append(cost)
    return row[-1]
