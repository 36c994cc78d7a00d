"""Pending logins: opened for devices, shown to people, decided, and finished with the registry."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.auth.model.errors import ConflictError, NotFoundError, RefusedError, SuspendedError, TooManyError
from services.auth.model.login import AuthId, Login, LoginState, RegisterMethod, new_auth_id
from services.auth.model.node import AdmittedNode, KnownUser, NodeAdmission
from services.auth.model.registration import RegistrationRequest, first_expiry
from services.auth.model.rights import SUSPENDED
from services.auth.store.logins import LoginLimits, LoginStore
from services.auth.store.notifications import LoginNotifications
from services.auth.store.policy import TagOwners
from services.auth.store.registry import Registry
from services.shared.ids import UserId
from services.shared.rate import network_of
from services.shared.runtime.clock import Clock
from services.shared.telemetry import get_logger

log = get_logger(__name__)

REJECTED = "login was rejected by an administrator"
REPLACED = "this login was replaced by a newer one of the same device"
FULL_RETRY = 60


@dataclass(frozen=True, slots=True)
class LoginRules:
    """What the configuration says of logins."""

    server_url: str
    lifetime: timedelta
    room: LoginLimits
    key_lifetime: timedelta
    """How long node keys live; zero: for ever."""


class Logins:
    """Pending logins of one tailnet."""

    def __init__(
        self,
        store: LoginStore,
        registry: Registry,
        owners: TagOwners,
        news: LoginNotifications,
        clock: Clock,
        rules: LoginRules,
    ) -> None:
        self._store = store
        self._registry = registry
        self._owners = owners
        self._news = news
        self._clock = clock
        self._rules = rules

    def url_of(self, auth_id: AuthId) -> str:
        """Where a person decides a login."""
        return f"{self._rules.server_url.rstrip('/')}/register/{auth_id}"

    async def open(self, registration: RegistrationRequest, auth_id: AuthId | None = None) -> Login:
        """Begin a login, or find the one that the same keys began. An administrator may choose its auth id.

        Raises:
            TooManyError: no room for another.
            ConflictError: the chosen auth id is another login's.
        """
        now = self._clock.now()
        login = Login(
            auth_id=auth_id or new_auth_id(secrets.token_bytes(12)),
            machine_key=registration.machine_key,
            node_key=registration.node_key,
            old_node_key=registration.old_node_key,
            hostinfo=registration.hostinfo,
            hostname=registration.device.hostname,
            os=registration.device.os,
            tags=registration.device.tags,
            version=registration.version,
            ephemeral=registration.ephemeral,
            remote_address=registration.remote_address,
            created_at=now,
            expires_at=now + self._rules.lifetime,
            wanted_expiry=registration.expiry,
        )
        opened = await self._store.open(login, network_of(registration.remote_address), self._rules.room)
        if opened is None:
            log.warning("no room for another pending login", waiting=self._rules.room.total)
            raise TooManyError("too many logins are waiting; try again later", FULL_RETRY)
        for displaced in opened.displaced:
            await self._news.announce(displaced)
        if auth_id is not None and opened.login is not login:
            raise ConflictError("a login with this auth id exists")
        if opened.login is login:
            log.info("login opened", auth_id=login.auth_id, machine_key=str(login.machine_key), hostname=login.hostname)
        return opened.login

    async def get(self, auth_id: AuthId | None) -> Login:
        """A login that has not ended.

        Raises:
            NotFoundError: unknown or ended.
        """
        login = await self._store.get(auth_id) if auth_id is not None else None
        if login is None or not login.alive(self._clock.now()):
            raise NotFoundError("login not found or expired")
        return login

    async def list(self) -> tuple[Login, ...]:
        """All that have not ended, oldest first."""
        return await self._store.list(self._clock.now())

    async def approve(
        self, auth_id: AuthId | None, user_id: UserId, method: RegisterMethod, key_end: datetime | None = None
    ) -> AdmittedNode:
        """Let the device in for a user; saying it again is harmless and finishes what a crash left.

        `key_end` is when the node's key ends by this approval; None leaves it to the configuration.

        Raises:
            NotFoundError: unknown or ended login, or no such user.
            ConflictError: decided otherwise before.
            RefusedError: the registry or the policy would not have it.
            SuspendedError: the user is suspended.
        """
        while True:
            login = await self.get(auth_id)
            if login.state is LoginState.REJECTED:
                raise ConflictError("login was rejected already")
            if login.state is LoginState.PENDING:
                user = await self._registry.user(user_id)
                if user is None:
                    raise NotFoundError("user not found")
                if user.suspended:
                    raise SuspendedError(SUSPENDED)
                await self._store.replace(login, login.approved(user_id, method, key_end))
                continue  # read back what holds now: another administrator may have been faster
            if login.user_id != user_id:
                raise ConflictError("login was approved for another user already")
            if login.state is LoginState.ADMITTED:
                return await self._admitted_before(login)
            return await self.finish(login)

    async def reject(self, auth_id: AuthId | None, reason: str = REJECTED) -> None:
        """Turn the device away; the person at it reads the reason.

        Raises:
            NotFoundError: unknown or ended.
            ConflictError: approved before.
        """
        while True:
            login = await self.get(auth_id)
            if login.state is LoginState.REJECTED:
                return
            if login.state is not LoginState.PENDING:
                raise ConflictError("login was approved already")
            if await self._store.replace(login, login.rejected(reason)):
                log.info("login rejected", auth_id=login.auth_id, reason=reason)
                await self._news.announce(login.auth_id)
                return

    async def finish(self, login: Login) -> AdmittedNode:
        """Have the registry admit an approved login, and tell who waits. Any number may do this, in any order.

        Raises:
            RefusedError: the registry would not have it and the login is open again, or its tags are not permitted
                and it is rejected.
            NotFoundError: the user is gone; the login is open again.
            UnavailableError: nothing is decided yet; do it again.
        """
        user = await self._registry.user(login.user_id)
        if user is None:
            await self._store.replace(login, login.reopened())
            raise NotFoundError("user not found")
        if user.suspended:
            await self._reject_approved(login, SUSPENDED)
            raise SuspendedError(SUSPENDED)
        await self._check_tags(login, user)
        try:
            admitted = await self._registry.admit(
                NodeAdmission(
                    machine_key=login.machine_key,
                    node_key=login.node_key,
                    old_node_key=login.old_node_key,
                    user_id=login.user_id,
                    tags=login.tags,
                    ephemeral=login.ephemeral,
                    expiry=self._expiry(login),
                    hostinfo=login.hostinfo,
                    version=login.version,
                    method=login.method,
                )
            )
        except RefusedError:
            await self._store.replace(login, login.reopened())
            raise
        if await self._store.replace(login, login.admitted(admitted.node.id)):
            log.info("login approved", auth_id=login.auth_id, node_id=admitted.node.id, user_id=login.user_id)
        await self._news.announce(login.auth_id)
        return admitted

    def _expiry(self, login: Login) -> datetime | None:
        now = self._clock.now()
        if login.key_end is None:
            return first_expiry(login.wanted_expiry, self._rules.key_lifetime, now)
        requested = login.wanted_expiry
        return requested if requested is not None and now < requested < login.key_end else login.key_end

    async def _admitted_before(self, login: Login) -> AdmittedNode:
        # Admitting once more could bring back a deleted node, or an old key of one that rotated since.
        found = await self._registry.find(login.machine_key, login.node_key, login.old_node_key)
        node = found.by_node_key
        if node is None or node.machine_key != login.machine_key:
            raise ConflictError("login was used already")
        return AdmittedNode(node, found.owner_of(node))

    async def _check_tags(self, login: Login, user: KnownUser) -> None:
        if not login.tags or await self._owners.may_own(user, login.tags):
            return
        text = tags_refused_text(login.tags)
        await self._reject_approved(login, text)
        raise RefusedError(text)

    async def _reject_approved(self, login: Login, reason: str) -> None:
        await self._store.replace(login, login.rejected(reason))
        log.info("login rejected after approval", auth_id=login.auth_id, user_id=login.user_id, reason=reason)
        await self._news.announce(login.auth_id)


def tags_refused_text(tags: tuple[str, ...]) -> str:
    """What a client is told whose tags the policy does not give it."""
    return f"requested tags [{' '.join(tags)}] are invalid or not permitted"
