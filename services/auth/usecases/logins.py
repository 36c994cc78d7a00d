"""Pending logins: opened for devices, listed, approved or rejected, and finished with the registry."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.auth.model.errors import ConflictError, NotFoundError, RefusedError, SuspendedError, TooManyError
from services.auth.model.login import AuthId, Login, LoginState, RegisterMethod, new_auth_id
from services.auth.model.node import AdmittedNode, KnownUser, NodeToAdmit
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
    """Logins, by the configuration."""

    server_url: str
    lifetime: timedelta
    room: LoginLimits
    key_lifetime: timedelta
    """Lifetime of node keys; zero: without an expiry."""


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
        """Return the URL of the page where a person approves a login."""
        return f"{self._rules.server_url.rstrip('/')}/register/{auth_id}"

    async def open(self, registration: RegistrationRequest, auth_id: AuthId | None = None) -> Login:
        """Open a login, or return the pending one of the same keys. An administrator may choose its auth id.

        Raises:
            TooManyError: too many logins are pending.
            ConflictError: the chosen auth id is in use.
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
            log.warning("too many pending logins", waiting=self._rules.room.total)
            raise TooManyError("too many logins are waiting; try again later", FULL_RETRY)
        for displaced in opened.displaced:
            await self._news.announce(displaced)
        if auth_id is not None and opened.login is not login:
            raise ConflictError("a login with this auth id exists")
        if opened.login is login:
            log.info("login opened", auth_id=login.auth_id, machine_key=str(login.machine_key), hostname=login.hostname)
        return opened.login

    async def get(self, auth_id: AuthId | None) -> Login:
        """Return a login that has not expired.

        Raises:
            NotFoundError: unknown or expired.
        """
        login = await self._store.get(auth_id) if auth_id is not None else None
        if login is None or not login.alive(self._clock.now()):
            raise NotFoundError("login not found or expired")
        return login

    async def list(self) -> tuple[Login, ...]:
        """List logins that have not expired, oldest first."""
        return await self._store.list(self._clock.now())

    async def approve(
        self, auth_id: AuthId | None, user_id: UserId, method: RegisterMethod, key_end: datetime | None = None
    ) -> AdmittedNode:
        """Approve a login for a user and have the node admitted. Repeating it is harmless and finishes after a crash.

        `key_end` is the expiry of the node's key; None leaves it to the configuration.

        Raises:
            NotFoundError: unknown or expired login, or no such user.
            ConflictError: rejected, or approved for another user before.
            RefusedError: the registry or the policy refuses the node.
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
                continue  # read it again: another administrator may have been faster
            if login.user_id != user_id:
                raise ConflictError("login was approved for another user already")
            if login.state is LoginState.ADMITTED:
                return await self._admitted_before(login)
            return await self.finish(login)

    async def reject(self, auth_id: AuthId | None, reason: str = REJECTED) -> None:
        """Reject a login; the client shows the reason to the person.

        Raises:
            NotFoundError: unknown or expired.
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
        """Have the registry admit an approved login, and notify waiting requests. Several callers may do this at once.

        Raises:
            RefusedError: the registry refuses the node and the login is pending again, or its tags are not permitted
                and it is rejected.
            NotFoundError: the user is gone; the login is pending again.
            UnavailableError: nothing is decided yet; repeat the call.
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
                NodeToAdmit(
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
        # Admitting it again could restore a deleted node, or an old key of a node that rotated its key.
        found = await self._registry.find(login.machine_key, login.node_key, login.old_node_key)
        node = found.by_node_key
        if node is None or node.machine_key != login.machine_key:
            raise ConflictError("login was used already")
        return AdmittedNode(node, found.owner_of(node))

    async def _check_tags(self, login: Login, user: KnownUser) -> None:
        if not login.tags or await self._owners.may_own(user, login.tags):
            return
        text = tags_refused_text(login.tags, user)
        await self._reject_approved(login, text)
        raise RefusedError(text)

    async def _reject_approved(self, login: Login, reason: str) -> None:
        await self._store.replace(login, login.rejected(reason))
        log.info("login rejected after approval", auth_id=login.auth_id, user_id=login.user_id, reason=reason)
        await self._news.announce(login.auth_id)


def tags_refused_text(tags: tuple[str, ...], user: KnownUser | None) -> str:
    """Return the refusal for a client whose tags the policy does not permit to its user."""
    owner = user.email or user.name if user is not None else "this user"
    return (
        f"requested tags [{' '.join(tags)}] are invalid or not permitted: "
        f"tagOwners in the policy must list {owner} for them"
    )
