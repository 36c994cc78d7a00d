"""Links: an identity at a provider (issuer, subject) and its user. Names and e-mail addresses are no identity."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from services.registry.model.errors import InvalidInputError
from services.registry.model.text import clean_line
from services.registry.model.user import MAX_NAME, MAX_URL, check_name
from services.shared.ids import UserId

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""Last login of an identity that an administrator linked and that has not signed in yet."""

MAX_LINKS = 32
"""Maximum number of identities of one user."""
NAMESPACE = "namespace:"
"""Prefix of groups that represent a namespace; a provider's own group may not have it."""
MAX_SUBJECT = 255
MAX_GROUPS = 1000
MAX_GROUP = 256

_UNFIT = re.compile(r"[^\w.-]+")
_LEADING = re.compile(r"\A[\W\d_]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One identity at a provider; a user may have several."""

    issuer: str
    subject: str
    user_id: UserId
    created_at: datetime
    last_login: datetime
    display_name: str = ""
    email: str = ""
    """From the last login at this provider; the user's own fields follow the newest login at any provider."""
    groups: tuple[str, ...] | None = None
    """None: this provider never reported groups."""
    since: tuple[tuple[str, datetime], ...] = ()
    """Time at which each group was first reported."""
    namespace: str = ""
    """A unit that the provider reports, such as a department; empty: none."""

    @property
    def provider_id(self) -> str:
        """The identity as one text, as policies and people write it."""
        return f"{self.issuer}/{self.subject}"

    def in_groups(self, groups: tuple[str, ...], now: datetime) -> Link:
        """Return the link with these groups; groups it already has keep their time."""
        before = dict(self.since)
        return replace(self, groups=groups, since=tuple((group, before.get(group, now)) for group in groups))

    def memberships(self) -> list[tuple[str, datetime]]:
        """Return each group with the time of its first appearance, if recorded."""
        known = dict(self.since)
        return [(group, known.get(group, self.last_login)) for group in self.groups or ()]


def check_identity(issuer: str, subject: str) -> None:
    """Check the parts of an identity.

    Raises:
        InvalidInputError: a part is missing, too long, or has control characters.
    """
    if not issuer or len(issuer) > MAX_URL or clean_line(issuer) != issuer:
        raise InvalidInputError("issuer is a URL of one line")
    if not 0 < len(subject) <= MAX_SUBJECT or clean_line(subject) != subject:
        raise InvalidInputError(f"subject has 1 to {MAX_SUBJECT} characters in one line")


def read_groups(groups: Iterable[str]) -> tuple[str, ...]:
    """Read a person's groups: sorted, each once.

    Raises:
        InvalidInputError: too many, or one is empty, too long, or has control characters.
    """
    found = sorted(set(groups))
    if len(found) > MAX_GROUPS:
        raise InvalidInputError(f"a person is in at most {MAX_GROUPS} groups")
    for group in found:
        if not 0 < len(group) <= MAX_GROUP or clean_line(group) != group:
            raise InvalidInputError(f"a group has 1 to {MAX_GROUP} characters in one line")
    return tuple(found)


def groups_of(links: Iterable[Link]) -> tuple[str, ...]:
    """Return a person's groups: those of all their identities, and one for each of their namespaces."""
    listed = [*links]
    found = {group for link in listed for group in link.groups or () if not group.startswith(NAMESPACE)}
    return tuple(sorted(found | {NAMESPACE + link.namespace for link in listed if link.namespace}))


def names_to_try(wanted: Iterable[str], subject: str) -> Iterator[str]:
    """Yield names for a new user, without end: the wanted ones, then the first of them with numbers."""
    base = ""
    for name in wanted:
        for candidate in (name, _fitted(name)):
            try:
                check_name(candidate)
            except InvalidInputError:
                continue
            base = base or candidate
            yield candidate
            break
    base = base or _fitted(f"user-{subject[:16]}")
    yield base
    number = 2
    while True:
        # Not `alice@example.com-2`: that would read as an address in another domain.
        yield f"{base.replace('@', '-at-')[: MAX_NAME - 12]}-{number}"
        number += 1


def _fitted(name: str) -> str:
    fitted = _LEADING.sub("", _UNFIT.sub("-", name.replace("@", "-at-"))).strip("-.")
    return fitted[: MAX_NAME - 12]
