"""Changes of a user's rights, suspension and groups, from any source: the only code in the registry that applies them.

A suspension is a property of the user and changes no node: readers of the log remove the nodes' access while their
owner is suspended, so lifting it restores exactly the previous access.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from services.registry.model.errors import PreconditionError
from services.registry.model.link import groups_of, read_groups
from services.registry.model.standing import HistoryEntry, Standing, attributes, by, changes, check_attribution
from services.registry.model.user import User
from services.registry.usecases.draft import Draft
from services.registry.usecases.ledger import Ledger
from services.shared.ids import UserId
from services.shared.telemetry import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LoginGroups:
    """The groups of one identity, all of them."""

    issuer: str
    subject: str
    names: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsChange:
    """One change of one person's rights, numbered by its source."""

    user_id: UserId
    number: int = 0
    """Increases with each change of one person; 0: not compared."""
    suspended: bool | None = None
    """None: unchanged."""
    login: LoginGroups | None = None
    """None: unchanged."""
    source: str
    actor: str = ""
    reason: str = ""


class Rights:
    """Use case of changes of rights."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def change(self, change: RightsChange) -> tuple[User, bool]:
        """Apply a change. Returns the user, and whether anything changed; late and repeated changes do nothing.

        Raises:
            NotFoundError: there is no such user.
            InvalidInputError: a text or a group is invalid.
            PreconditionError: the identity is not this user's.
        """
        check_attribution(change.source, change.actor, change.reason)
        groups = () if change.login is None else read_groups(change.login.names)

        async def write(draft: Draft) -> tuple[User, bool]:
            user = draft.user(change.user_id)
            last = await draft.transaction.standing(user.id)
            if change.number and last is not None and change.number <= last.number:
                return user, False
            before = attributes(user)
            if change.login is not None:
                await _put_groups(draft, user.id, change.login, groups)
            suspended = user.suspended if change.suspended is None else change.suspended
            turned = suspended != user.suspended
            changed = draft.put_user(await with_groups(draft, replace(user, suspended=suspended)))
            standing = Standing(
                user_id=user.id,
                number=max(change.number, last.number if last is not None else 0),
                since=draft.now,
                source=change.source,
                actor=change.actor,
                reason=change.reason,
            )
            if not turned:  # only the number changed
                standing = replace(last or replace(standing, source="", actor="", reason=""), number=standing.number)
            await draft.transaction.put_standing(standing)
            said = by(change.source, change.actor)
            entries = changes(user.id, draft.now, said, before, attributes(draft.user(user.id)))
            await draft.transaction.add_history([_entry(standing, suspended), *entries] if turned else entries)
            return draft.user(user.id), changed

        user, changed = await self._ledger.commit(write)
        if changed:
            log.info("rights changed", user_id=user.id, suspended=user.suspended, source=change.source)
        return user, changed


async def with_groups(draft: Draft, user: User) -> User:
    """Return the user with the groups of all their identities, the only source of groups."""
    links = await draft.transaction.links(user.id)
    return replace(user, groups=groups_of(links)) if links or user.provider else user


async def _put_groups(draft: Draft, user_id: UserId, login: LoginGroups, groups: tuple[str, ...]) -> None:
    link = await draft.transaction.link(login.issuer, login.subject)
    if link is None or link.user_id != user_id:
        raise PreconditionError("this identity is not this user's")
    await draft.transaction.put_link(link.in_groups(groups, draft.now))


def _entry(standing: Standing, suspended: bool) -> HistoryEntry:
    words = ("active", "suspended") if suspended else ("suspended", "active")
    return HistoryEntry(
        user_id=standing.user_id,
        at=standing.since,
        attribute="standing",
        before=words[0],
        after=words[1] + (f": {standing.reason}" if standing.reason else ""),
        source=by(standing.source, standing.actor),
    )
