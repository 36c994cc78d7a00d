"""Plans the rows of imported users: ids and names stay, identities at a provider become links. Pure.

name NULL or empty              named after its display name, e-mail or id
name used twice                 the user with the lower id keeps it
names that differ in case       both stay, and are reported
identity used twice             the user with the lower id keeps it
text too long or not printable  cut and cleaned
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.registry.model.errors import InvalidInputError
from services.registry.model.fact import UserPut
from services.registry.model.link import Link, check_identity, names_to_try
from services.registry.model.state import State
from services.registry.model.text import clean_line
from services.registry.model.user import MAX_NAME, MAX_TEXT, User, check_name, check_url
from services.shared.ids import UserId
from services.shared.imported import Counts, Ids, ImportedUser, Problems

PROVIDER = "oidc"


@dataclass(slots=True)
class UserPlan:
    """Users to write, and our id for each imported one."""

    users: list[User] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    ids: dict[int, UserId] = field(default_factory=dict)


class UserPlanner:
    """Planner of users, in the order of their ids."""

    def __init__(
        self,
        state: State,
        links: Sequence[Link],
        issuers: Sequence[str],
        now: datetime,
        counts: Counts,
        problems: Problems,
        ids: Ids,
    ) -> None:
        self._state = state
        self._issuers = issuers
        self._now = now
        self._counts = counts
        self._problems = problems
        self._ids = ids
        self._by_identity = {(link.issuer, link.subject): link.user_id for link in links}
        self._of_target = dict(self._by_identity)
        self._by_name = {user.name: user.id for user in state.users.values()}
        self._local = {user.name for user in state.users.values() if not user.provider}
        self._matched: set[UserId] = set()
        """Users of the target that an imported one was found to be."""
        self._folded = {name.casefold() for name in self._by_name}
        self.plan = UserPlan()

    def take(self, found: ImportedUser) -> None:
        """Plan one user."""
        identity = self._identity(found)
        known = self._existing_user(found, identity)
        if known is not None:
            self.plan.ids[found.id] = known
            self._matched.add(known)
            self._counts.already_there += 1
            return
        user_id = UserId(self._ids.keep(found.id, self._state.users))
        user = User(
            id=user_id,
            name=self._name(found),
            created_at=found.created_at or self._now,
            display_name=self._line(found, "display name", found.display_name),
            email=self._line(found, "e-mail", found.email),
            profile_pic_url=self._picture(found),
            provider=PROVIDER if identity is not None else "",
        )
        if identity is not None:
            user = self._linked(user, *identity)
        self.plan.ids[found.id] = user_id
        self._add(user)

    def make_missing(self, user_id: int, needed_by: str) -> UserId:
        """Plan a user that other rows refer to but that is missing."""
        made = User(id=UserId(user_id), name=self._free(f"user-{user_id}"), created_at=self._now)
        if made.id in self._state.users:
            made = User(id=UserId(self._ids.next()), name=made.name, created_at=self._now)
        self._problems.add("user", user_id, f"is missing, but {needed_by} belongs to it", f"made again as {made.name}")
        self.plan.ids[user_id] = made.id
        self._add(made)
        return made.id

    def _add(self, user: User) -> None:
        if user.name.casefold() in self._folded and user.name not in self._by_name:
            self._problems.add("user", user.id, f"the name {user.name} differs from another only in case", "kept")
        self._folded.add(user.name.casefold())
        self._by_name[user.name] = user.id
        self._state.apply(UserPut(user))
        self.plan.users.append(user)
        self._counts.imported += 1

    def _identity(self, found: ImportedUser) -> tuple[str, str] | None:
        """Split a provider id into issuer and subject by the configured issuer, since a subject may contain a slash."""
        text = found.provider_identifier
        if not text:
            return None
        for issuer in self._issuers:
            start = issuer.rstrip("/") + "/"
            if text.startswith(start):
                issuer, subject = issuer, text.removeprefix(start)
                break
        else:
            issuer, _, subject = text.rpartition("/")
            what = "its identity is at a provider that the configuration does not name"
            self._problems.add("user", found.id, what, f"linked to {issuer or 'nothing'}; check oidc.issuer")
        try:
            check_identity(issuer, subject)
        except InvalidInputError as error:
            self._problems.add("user", found.id, f"its identity at the provider is damaged: {error}", "not linked")
            return None
        return issuer, subject

    def _existing_user(self, found: ImportedUser, identity: tuple[str, str] | None) -> UserId | None:
        """Return the target's user for an imported one: by identity, or by name if neither has an identity."""
        if identity is not None:
            user_id = self._of_target.get(identity)
            return user_id if user_id not in self._matched else None
        if found.name in self._local and self._by_name[found.name] not in self._matched:
            return self._by_name[found.name]
        return None

    def _linked(self, user: User, issuer: str, subject: str) -> User:
        if (issuer, subject) in self._by_identity:
            self._problems.add("user", user.id, "another user has the same identity at the provider", "not linked")
            return user
        link = Link(
            issuer=issuer,
            subject=subject,
            user_id=user.id,
            created_at=user.created_at,
            last_login=user.created_at,
            display_name=user.display_name,
            email=user.email,
        )
        self._by_identity[(issuer, subject)] = user.id
        self.plan.links.append(link)
        return replace(user, provider_id=link.provider_id)

    def _name(self, found: ImportedUser) -> str:
        name = clean_line(found.name).strip()[:MAX_NAME]
        if not name:
            wanted = [text for text in (found.display_name, found.email.partition("@")[0]) if text]
            name = self._free(next(names_to_try(wanted, str(found.id))))
            self._problems.add("user", found.id, "has no name", f"named {name}")
            return name
        if name in self._by_name:
            free = self._free(found.email if found.email not in ("", name) else name)
            self._problems.add("user", found.id, f"another user is called {name} too", f"renamed to {free}")
            return free
        if name != found.name:
            self._problems.add("user", found.id, "its name has characters that cannot be shown", f"renamed to {name}")
        else:
            self._note_unusual(found.id, name)
        return name

    def _note_unusual(self, which: int, name: str) -> None:
        try:
            check_name(name)
        except InvalidInputError:
            self._problems.add("user", which, f"a new user could not be called {name}", "kept")

    def _free(self, wanted: str) -> str:
        return next(name for name in names_to_try((wanted,), "imported") if name not in self._by_name)

    def _line(self, found: ImportedUser, what: str, value: str) -> str:
        cleaned = clean_line(value)[:MAX_TEXT]
        if cleaned != value:
            self._problems.add("user", found.id, f"its {what} is too long or has characters of control", "shortened")
        return cleaned

    def _picture(self, found: ImportedUser) -> str:
        try:
            return check_url("picture", found.profile_pic_url)
        except InvalidInputError:
            self._problems.add("user", found.id, "its picture is no URL", "left out")
            return ""
