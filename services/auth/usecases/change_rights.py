"""Changes the rights of users: one use case for administrators, providers and every later source.

    recorded --> applied in the registry (nodes lose or regain access) --> logins and sign-ins refused --> done

Each step may be repeated, by any instance. The registry comes before the logins, so that no login can be approved
after the pending ones were refused.
"""

from __future__ import annotations

from services.auth.model.errors import NotFoundError, RefusedError, UnavailableError
from services.auth.model.node import KnownUser
from services.auth.model.oidc.refusal import RefusalReason
from services.auth.model.rights import SUSPENDED, IdentityGroups, RecordedRightsChange, RightsKind, RightsSource
from services.auth.store.notifications import LoginNotifications
from services.auth.store.registry import RightsRegistry
from services.auth.store.rights import RightsStore
from services.shared.ids import UserId
from services.shared.runtime.clock import Clock
from services.shared.telemetry import get_logger

log = get_logger(__name__)


class ChangeRights:
    """Changes of user rights in one tailnet."""

    def __init__(self, store: RightsStore, registry: RightsRegistry, news: LoginNotifications, clock: Clock) -> None:
        self._store = store
        self._registry = registry
        self._news = news
        self._clock = clock

    async def suspend(self, user_id: UserId, source: RightsSource, actor: str = "", reason: str = "") -> KnownUser:
        """Suspend a user. Repeating it is harmless.

        Raises:
            NotFoundError: there is no such user.
            UnavailableError: it is recorded and will be applied, but is not yet.
        """
        return await self._change(user_id, RightsKind.SUSPEND, source, actor, reason)

    async def restore(self, user_id: UserId, source: RightsSource, actor: str = "", reason: str = "") -> KnownUser:
        """Restore a suspended user. As `suspend`."""
        return await self._change(user_id, RightsKind.RESTORE, source, actor, reason)

    async def groups(self, user_id: UserId, login: IdentityGroups, source: RightsSource) -> KnownUser:
        """Change the groups of an identity outside of a sign-in. As `suspend`.

        Raises:
            RefusedError: the identity no longer belongs to the user.
        """
        return await self._change(user_id, RightsKind.GROUPS, source, "", "", login)

    async def resume(self) -> int:
        """Apply recorded changes that a crash or an outage left, the oldest first. Returns how many remain."""
        left = await self._store.unfinished()
        for position, change in enumerate(left):
            try:
                await self._carry_out(change)
            except NotFoundError:
                log.info("rights change dropped: the user is gone", user_id=change.user_id, number=change.number)
            except UnavailableError as error:
                log.warning("rights change postponed", number=change.number, reason=str(error))
                return len(left) - position
            except RefusedError as error:
                log.error("rights change refused", number=change.number, reason=str(error))
        return 0

    async def _change(
        self,
        user_id: UserId,
        kind: RightsKind,
        source: RightsSource,
        actor: str,
        reason: str,
        login: IdentityGroups | None = None,
    ) -> KnownUser:
        if await self._registry.user(user_id) is None:
            raise NotFoundError("user not found")
        change = RecordedRightsChange(user_id, kind, source, self._clock.now(), actor, reason, login)
        return await self._carry_out(await self._store.append(change))

    async def _carry_out(self, change: RecordedRightsChange) -> KnownUser:
        try:
            user = await self._registry.change_rights(change)
        except (NotFoundError, RefusedError):  # it can never be done
            await self._store.mark_done(change, self._clock.now())
            raise
        suspended = change.kind is RightsKind.SUSPEND and user.suspended
        rejected = (
            await self._store.refuse_logins(change.user_id, RefusalReason.USER_SUSPENDED, SUSPENDED)
            if suspended
            else ()
        )
        await self._store.mark_done(change, self._clock.now())
        for auth_id in rejected:
            await self._news.announce(auth_id)
        log.info(
            "rights changed",
            user_id=change.user_id,
            kind=change.kind.value,
            source=change.source.value,
            refused_logins=len(rejected),
        )
        return user
