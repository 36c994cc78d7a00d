"""Scopes of administration credentials: their names, and what each grants. Knows no operation.

A scope grants itself and its own `:read`; `all` grants everything, `all:read` every `:read`. Nothing else inherits.
"""

from __future__ import annotations

from collections.abc import Iterable

ALL = "all"
READ = ":read"
_READ_ONLY = frozenset({"logs:configuration:read", "logs:network:read"})
_WRITABLE = (
    ALL,
    "account_settings",
    "api_access_tokens",
    "auth_keys",
    "device_invites",
    "devices:core",
    "devices:posture_attributes",
    "devices:routes",
    "dns",
    "feature_settings",
    "federated_keys",
    "log_streaming",
    "logs:network",
    "networking_settings",
    "oauth_apps",
    "oauth_keys",
    "policy_file",
    "services",
    "tailnets",
    "users",
    "webhooks",
)
NAMES = frozenset({*_WRITABLE, *(name + READ for name in _WRITABLE), *_READ_ONLY})
"""Every scope that a credential may have."""
_OLD = {
    "acl": ("policy_file",),
    "devices": ("devices:core", "devices:posture_attributes", "auth_keys"),
    "routes": ("devices:routes",),
    "network-logs": ("logs:network",),
    "logs": ("logs:configuration",),
}
"""Names of earlier API versions; each exists with `:read` too."""
TAG_GIVING = frozenset({"auth_keys", "devices:core"})
"""Scopes with which a credential gives tags to devices."""


class UnknownScopeError(ValueError):
    """No scope has this name."""


def read_scopes(names: Iterable[str]) -> tuple[str, ...]:
    """Return scopes in order, each once, with earlier names replaced by today's.

    Raises:
        UnknownScopeError: no scope has one of the names; the text is the name.
    """
    found: set[str] = set()
    for name in names:
        stem, read = (name[: -len(READ)], READ) if name.endswith(READ) else (name, "")
        meant = [today + read for today in _OLD[stem]] if stem in _OLD else [name]
        unknown = [one for one in meant if one not in NAMES]
        if unknown:
            raise UnknownScopeError(name[:64])
        found.update(meant)
    return tuple(sorted(found))


def grants(held: Iterable[str], wanted: str) -> bool:
    """Return whether a credential with the scopes `held` has the scope `wanted`."""
    scopes = frozenset(held)
    if ALL in scopes or wanted in scopes:
        return True
    return wanted.endswith(READ) and (ALL + READ in scopes or wanted[: -len(READ)] in scopes)


def gives_tags(scopes: Iterable[str]) -> bool:
    """Return whether a credential with these scopes gives tags to devices, so that it must name which."""
    return not TAG_GIVING.isdisjoint(scopes)
