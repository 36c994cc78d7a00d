"""Limits of trust between several providers: which addresses and groups of each may reach policies.

Entry lists belong to one provider and are checked on what it sends. Addresses and groups reach policies that all
providers share: without a limit, any provider could send the address of another one's administrator, or its groups.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from services.auth.model.oidc.domains import domain_of, within
from services.auth.model.oidc.groups import RESERVED
from services.auth.model.oidc.identity import ProviderIdentity
from services.auth.model.oidc.notice import ClaimNotice


@dataclass(frozen=True, slots=True)
class ProviderTrust:
    """The limits of one provider; by default there are none, as for the only provider."""

    domains: tuple[str, ...] | None = None
    """Trusted domains of addresses; None: any."""
    groups: tuple[str, ...] | None = None
    """Our names of the trusted groups; `*` matches any characters; None: any."""

    def limit(self, identity: ProviderIdentity) -> ProviderIdentity:
        """Return the identity without an untrusted address and untrusted groups, each with a notice."""
        notices = list(identity.notices)
        email, groups = identity.email, identity.groups
        if email and not self.has_domain(domain_of(email)):
            email = ""
            text = "the e-mail address was left out: this provider is not trusted for its domain"
            notices.append(ClaimNotice("email", text, "add the domain to {key}.trusted_domains if it is"))
        if groups is not None and self.groups is not None:
            kept = tuple(name for name in groups if self.has_group(name))
            if len(kept) < len(groups):
                text = f"{len(groups) - len(kept)} of {len(groups)} groups were left out: not trusted of this provider"
                notices.append(
                    ClaimNotice("groups", text, "name them in {key}.groups.allow, or set {key}.groups.prefix")
                )
            groups = kept
        return replace(identity, email=email, groups=groups, notices=tuple(notices))

    def has_domain(self, domain: str) -> bool:
        """Return whether addresses of this domain are trusted."""
        return self.domains is None or any(within(domain, allowed) for allowed in self.domains)

    def has_group(self, name: str) -> bool:
        """Return whether one of our groups is trusted from this provider."""
        return self.groups is None or any(fnmatchcase(name, allowed) for allowed in self.groups)

    def has_namespace(self, namespace: str) -> bool:
        """Return whether a namespace is trusted: policies see it as a group."""
        return self.has_group(RESERVED + namespace)


UNLIMITED = ProviderTrust()


@dataclass(frozen=True, slots=True)
class StatedTrust:
    """The configured trust of one provider, before it is compared with the others'."""

    trusted_domains: tuple[str, ...]
    allowed_domains: tuple[str, ...]
    allow: tuple[str, ...]
    mapped: tuple[str, ...]
    """Names that its `groups.rename` produces."""
    prefix: str
    allowed_groups: tuple[str, ...]

    def domains(self) -> tuple[str, ...]:
        """Return every domain named in it."""
        return (*self.trusted_domains, *self.allowed_domains)

    def group_names(self) -> tuple[str, ...]:
        """Return every group named in it."""
        return (*self.allow, *self.mapped, *self.allowed_groups)


def trust_of(own: StatedTrust, others: Iterable[StatedTrust], *, primary: bool) -> ProviderTrust:
    """Return the limits of a provider; `others` are all other providers of the configuration.

    The primary provider is trusted for everything unless it states limits. Any other is trusted for the domains and
    groups that it states; where it states none, for its `allowed_domains`, the targets of its `groups.rename` and the
    names with its `groups.prefix`, as far as no other provider has them.
    """
    rest = list(others)
    if primary or not rest:
        return ProviderTrust(own.trusted_domains or None, own.allow or None)
    taken = ProviderTrust(tuple(domain for other in rest for domain in other.domains()))
    domains = own.trusted_domains or tuple(
        domain for domain in own.allowed_domains if not taken.has_domain(domain.removeprefix("*."))
    )
    if own.allow:
        return ProviderTrust(domains, own.allow)
    names = {name for other in rest for name in other.group_names()}
    groups = [escaped(name) for name in own.mapped if name and name not in names]
    if own.prefix and not any(_overlap(own.prefix, other.prefix) for other in rest):
        groups += [escaped(own.prefix) + "*", escaped(RESERVED + own.prefix) + "*"]
    return ProviderTrust(domains, tuple(groups))


def escaped(name: str) -> str:
    """Return a name as a pattern that matches nothing else."""
    return "".join(f"[{mark}]" if mark in "*?[" else mark for mark in name)


def _overlap(one: str, other: str) -> bool:
    return bool(other) and (one.startswith(other) or other.startswith(one))
