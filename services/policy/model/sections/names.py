"""The names that a document defines, filled by its sections; classifies each name in a rule as an alias."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from services.shared.access.compiled import Alias, AliasKind
from services.shared.access.ranges import show, span

ROLES = ("owner", "admin", "network-admin", "it-admin", "billing-admin", "auditor")

_AUTOGROUPS = {
    "member": AliasKind.MEMBER,
    "members": AliasKind.MEMBER,
    "tagged": AliasKind.TAGGED,
    "self": AliasKind.SELF,
    "internet": AliasKind.INTERNET,
    "danger-all": AliasKind.DANGER_ALL,
    "shared": AliasKind.SHARED,
}
_KNOWN_AUTOGROUPS = (
    "[autogroup:internet autogroup:member autogroup:nonroot autogroup:tagged autogroup:self autogroup:danger-all]"
)
_LENGTH = re.compile(r"[0-9]{1,3}")
DOMAIN_USERS = "user:*@"
NONROOT = "autogroup:nonroot"


class UnknownNameError(ValueError):
    """A name is not defined in the document."""


def literal(text: str) -> str | None:
    """Return the canonical form of an address or CIDR, host bits masked; None if the text is neither."""
    address, slash, length = text.partition("/")
    if "%" in address or "-" in address or (slash and not _LENGTH.fullmatch(length)):
        return None
    try:
        return show(span(text))
    except ValueError:
        return None


@dataclass(slots=True)
class Names:
    """The names that a document defines: filled by its sections, read by its rules."""

    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)
    tags: set[str] = field(default_factory=set)
    ipsets: dict[str, tuple[str, ...]] = field(default_factory=dict)
    internet_sets: set[str] = field(default_factory=set)
    """Ipsets that are a part of `autogroup:internet`, perhaps with more added."""
    postures: set[str] = field(default_factory=set)
    domains: frozenset[str] = frozenset()
    """Login domains of the tailnet; when there are none, domains are not checked."""
    users: frozenset[str] = frozenset()
    """Names of users that exist, for old documents that name one without an @."""
    member_spellings: dict[str, int] = field(default_factory=dict)
    """Spellings of `autogroup:member` that were met, each with its first place in the text."""
    provider_groups: bool = False
    """True if a group that the document does not define may be one of the sign-in provider."""
    provided: dict[str, int] = field(default_factory=dict)
    """Groups that were met and are not defined here, each with its first place."""
    legacy: dict[str, int] = field(default_factory=dict)
    """Notes on old spellings, each with its first place."""
    people: dict[Alias, int] = field(default_factory=dict)
    """Users and login domains that were met, each with its first place."""

    def alias(self, text: str, at: int = 0) -> Alias:
        """Classify one name, which stands at offset `at` of the text.

        Raises: `ValueError`; `UnknownNameError` when it only lacks a definition.
        """
        alias = self._classified(text, at)
        if alias.kind in (AliasKind.USER, AliasKind.DOMAIN):
            self.people.setdefault(alias, at)
        return alias

    def _classified(self, text: str, at: int) -> Alias:
        address = literal(text)
        if address is not None:
            return Alias(AliasKind.PREFIXES, text, (address,))
        if text == "*":
            return Alias(AliasKind.ANY, "*")
        if text.startswith(DOMAIN_USERS):
            return Alias(AliasKind.DOMAIN, text.removeprefix(DOMAIN_USERS))
        kind, colon, name = text.partition(":")
        if colon and kind in ("group", "tag", "autogroup", "ipset", "svc"):
            return self._prefixed(kind, name, text, at)
        if "@" in text:
            return Alias(AliasKind.USER, text)
        if not colon and text:
            return self._bare(text, at)
        raise ValueError(f'invalid alias format: "{text}"')

    def is_foreign(self, domain: str) -> bool:
        """Return whether a login domain is known not to be the tailnet's."""
        return bool(self.domains) and domain not in self.domains

    def _prefixed(self, kind: str, name: str, text: str, at: int) -> Alias:
        match kind:
            case "tag":
                if text not in self.tags:
                    raise UnknownNameError(f'tag not found: "{text}"')
                return Alias(AliasKind.TAG, text)
            case "group":
                return self._group(name, text, at)
            case "ipset":
                if text not in self.ipsets:
                    raise UnknownNameError(f'ipset not defined in policy: "{text}"')
                return Alias(AliasKind.PREFIXES, text, self.ipsets[text], text in self.internet_sets)
            case "svc":
                if not name:
                    raise ValueError(f'invalid service name: "{text}"')
                return Alias(AliasKind.SERVICE, text)
            case _:
                return self._autogroup(name, text, at)

    def _group(self, name: str, text: str, at: int) -> Alias:
        if text not in self.groups and "@" not in name:
            if not self.provider_groups or not name:
                raise UnknownNameError(f'group not defined in policy: "{text}"')
            self.provided.setdefault(text, at)
        return Alias(AliasKind.GROUP, text)

    def _autogroup(self, name: str, text: str, at: int) -> Alias:
        if name in ("member", "members"):
            self.member_spellings.setdefault(name, at)
        if name in _AUTOGROUPS:
            return Alias(_AUTOGROUPS[name])
        if name in ROLES:
            return Alias(AliasKind.ROLE, name)
        if text == NONROOT:
            raise ValueError(f'autogroup not supported here: "{text}", it is only valid in ssh users')
        raise ValueError(f'invalid autogroup: got "{text}", must be one of {_KNOWN_AUTOGROUPS}')

    def _bare(self, text: str, at: int) -> Alias:
        if text in self.hosts:
            return Alias(AliasKind.PREFIXES, text, (self.hosts[text],))
        if text in self.users:
            self.legacy.setdefault(f'"{text}" names a user in an old spelling, write "{text}@"', at)
            return Alias(AliasKind.USER, text + "@")
        raise UnknownNameError(f'host not defined in policy: "{text}"')


def foreign_domain(domain: str) -> str:
    """Return the error text for a login domain that is not the tailnet's."""
    return f"{domain} is not associated with this Tailnet and cannot be used in user:*@<domain> expressions"


def spell(alias: Alias) -> str:
    """Return an alias as documents spell it."""
    match alias.kind:
        case AliasKind.DOMAIN:
            return DOMAIN_USERS + alias.name
        case AliasKind.ROLE:
            return "autogroup:" + alias.name
        case AliasKind.MEMBER | AliasKind.TAGGED | AliasKind.SELF | AliasKind.INTERNET:
            return f"autogroup:{alias.kind.value}"
        case AliasKind.DANGER_ALL | AliasKind.SHARED:
            return f"autogroup:{alias.kind.value}"
        case _:
            return alias.name
