"""What a person may do here changed: the one place in the registry where that happens, whoever found out.

A suspension is a fact about the user. Nodes are not touched by it: who reads the log takes their access away while the
owner is suspended, so lifting it gives back exactly what was there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from services.registry.model.standing import Entry, Standing, check_said
from services.registry.model.user import User
from services.registry.usecases.draft import Draft
from services.registry.usecases.ledger import Ledger
from services.shared.ids import UserId
from services.shared.telemetry import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsChange:
    """One change of one person's rights, numbered by whoever orders them."""

    user_id: UserId
    number: int = 0
    """Rises with each change of one person; 0: not compared."""
    suspended: bool | None = None
    """None: as it is."""
    source: str
    actor: str = ""
    reason: str = ""


class Rights:
    """Takes changes of rights."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def change(self, change: RightsChange) -> tuple[User, bool]:
        """Make it so; returns the user and whether anything is different. Late and repeated changes do nothing.

        Raises:
            NotFoundError: there is no such user.
            InvalidInputError: a text cannot be kept.
        """
        check_said(change.source, change.actor, change.reason)

        async def work(draft: Draft) -> tuple[User, bool]:
            user = draft.user(change.user_id)
            last = await draft.transaction.standing(user.id)
            if change.number and last is not None and change.number <= last.number:
                return user, False
            suspended = user.suspended if change.suspended is None else change.suspended
            changed = draft.put_user(replace(user, suspended=suspended))
            standing = Standing(
                user_id=user.id,
                number=max(change.number, last.number if last is not None else 0),
                since=draft.now,
                source=change.source,
                actor=change.actor,
                reason=change.reason,
            )
            if not changed and last is not None:
                standing = replace(last, number=standing.number)
            await draft.transaction.put_standing(standing)
            if changed:
                await draft.transaction.add_history([_entry(standing, suspended)])
            return draft.user(user.id), changed

        user, changed = await self._ledger.commit(work)
        if changed:
            log.info("rights changed", user_id=user.id, suspended=user.suspended, source=change.source)
        return user, changed


def _entry(standing: Standing, suspended: bool) -> Entry:
    words = ("active", "suspended") if suspended else ("suspended", "active")
    return Entry(
        user_id=standing.user_id,
        at=standing.since,
        attribute="standing",
        before=words[0],
        after=words[1] + (f": {standing.reason}" if standing.reason else ""),
        source=standing.source + (f" ({standing.actor})" if standing.actor else ""),
    )
