"""People who sign in: found by identity, claimed by a verified address, or new; refreshed each time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.registry.model.errors import NotFoundError
from services.registry.model.link import MAX_GROUP, NAMESPACE, Link, check_identity, names_to_try, read_groups
from services.registry.model.standing import attributes, changes
from services.registry.model.state import State
from services.registry.model.user import User, check_text, check_url
from services.registry.usecases.draft import Draft
from services.registry.usecases.ledger import Ledger
from services.registry.usecases.rights import with_groups
from services.shared.ids import UserId
from services.shared.telemetry import get_logger

log = get_logger(__name__)

PROVIDER = "oidc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A proven identity, and the provider's claims of this login."""

    issuer: str
    subject: str
    names: Sequence[str] = ()
    """Candidates for a new user's name, the best first."""
    display_name: str = ""
    email: str = ""
    """Verified by the provider, or empty."""
    profile_pic_url: str = ""
    groups: Sequence[str] | None = None
    """None: the provider reported none."""
    namespace: str = ""
    """Their unit at the provider; empty: none."""


class People:
    """Use case of people who sign in."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def sign_in(self, person: Person, *, create: bool) -> tuple[User, bool]:
        """Find or create the person's user and refresh it. Returns the user, and whether it is new.

        A user's name never changes here, because policies and people refer to it. All other fields follow the provider.

        Raises:
            InvalidInputError: a field cannot be accepted.
            NotFoundError: the person has no user and none may be created.
        """
        check_identity(person.issuer, person.subject)
        check_text("display_name", person.display_name)
        check_text("email", person.email)
        check_text("namespace", person.namespace, MAX_GROUP - len(NAMESPACE))
        check_url("profile_pic_url", person.profile_pic_url)
        groups = None if person.groups is None else read_groups(person.groups)

        async def write(draft: Draft) -> tuple[User, bool]:
            link = await draft.transaction.link(person.issuer, person.subject)
            known = draft.state.users.get(link.user_id) if link is not None else None
            if known is None:
                link = None
                known = await _claimable(draft, person.email)
            if known is None and not create:
                raise NotFoundError("no user has this identity")
            user = known or User(
                id=UserId(await draft.transaction.next_id("user")),
                name=_free_name(draft.state, person),
                created_at=draft.now,
            )
            user = replace(
                user,
                display_name=person.display_name or user.display_name,
                email=person.email,
                profile_pic_url=person.profile_pic_url,
                provider=PROVIDER,
                provider_id=user.provider_id or f"{person.issuer}/{person.subject}",
            )
            link = Link(
                issuer=person.issuer,
                subject=person.subject,
                user_id=user.id,
                created_at=link.created_at if link is not None else draft.now,
                last_login=draft.now,
                display_name=person.display_name,
                email=person.email,
                groups=None if link is None else link.groups,
                since=() if link is None else link.since,
                namespace=person.namespace,
            )
            await draft.transaction.put_link(link if groups is None else link.in_groups(groups, draft.now))
            draft.put_user(await with_groups(draft, user))
            entries = changes(user.id, draft.now, person.issuer, attributes(known), attributes(draft.user(user.id)))
            await draft.transaction.add_history(entries)
            return draft.user(user.id), known is None

        user, created = await self._ledger.commit(write)
        log.info("person signed in", user_id=user.id, created=created)
        return user, created


async def _claimable(draft: Draft, email: str) -> User | None:
    """Return the only user with this address that an administrator created and that has no identity yet."""
    if not email:
        return None
    wanted = email.casefold()
    found = [
        user
        for user in draft.state.users.values()
        if not user.provider and wanted in (user.email.casefold(), "" if user.email else user.name.casefold())
    ]
    return found[0] if len(found) == 1 else None


def _free_name(state: State, person: Person) -> str:
    taken = {user.name.casefold() for user in state.users.values()}
    return next(name for name in names_to_try(person.names, person.subject) if name.casefold() not in taken)
