"""A client registers: the state table of `model.registration`, carried out."""

from __future__ import annotations

from datetime import timedelta

from services.auth.model.errors import RefusedError, TooManyError
from services.auth.model.login import LoginState, RegisterMethod
from services.auth.model.node import Admission, Admitted, FoundNodes, KnownNode, KnownUser
from services.auth.model.preauth_key import PreAuthKey
from services.auth.model.registration import (
    AskPerson,
    LogOut,
    NewKeyNeeded,
    NoLengthening,
    Redeem,
    Registration,
    Shorten,
    Welcome,
    decide,
    first_expiry,
)
from services.auth.model.rights import SUSPENDED
from services.auth.store import LoginNews, LoginStore, Registry, TagOwners
from services.auth.usecases.logins import Logins, not_permitted
from services.auth.usecases.outcome import Denied, LoggedOut, LoginNeeded, NodeKeyExpired, Outcome, RetryAfter
from services.auth.usecases.preauth_keys import PreAuthKeys
from services.auth.usecases.throttle import Throttle
from services.shared.keys import NodeKey
from services.shared.runtime.clock import Clock
from services.shared.telemetry import get_logger

log = get_logger(__name__)


class Register:
    """Answers registrations of one tailnet."""

    def __init__(
        self,
        registry: Registry,
        keys: PreAuthKeys,
        logins: Logins,
        login_store: LoginStore,
        news: LoginNews,
        owners: TagOwners,
        throttle: Throttle,
        clock: Clock,
        key_lifetime: timedelta,
    ) -> None:
        self._registry = registry
        self._keys = keys
        self._logins = logins
        self._login_store = login_store
        self._news = news
        self._owners = owners
        self._throttle = throttle
        self._clock = clock
        self._key_lifetime = key_lifetime

    async def register(self, registration: Registration) -> Outcome:
        """Answer one registration without a Followup.

        Raises:
            NotPermittedError: the node key is another machine's.
            UnavailableError: the registry or the policy did not answer.
        """
        try:
            self._throttle.attempt(registration.machine_key)
            return await self.answer(registration)
        except TooManyError as error:
            return RetryAfter(error.retry_after)

    async def answer(self, registration: Registration) -> Outcome:
        """Answer one registration that the machine's own limit let pass."""
        found = await self._registry.find(registration.machine_key, registration.node_key, registration.old_node_key)
        try:
            return await self._carry_out(registration, found)
        except RefusedError as error:
            self._throttle.failure(registration.remote_address)
            log.info("registration refused", machine_key=str(registration.machine_key), reason=str(error))
            return Denied(str(error))

    async def _carry_out(self, registration: Registration, found: FoundNodes) -> Outcome:
        match decide(registration, found, self._clock.now()):
            case LogOut(node):
                return await self._log_out(registration, node)
            case Welcome(node) | Shorten(node) if _is_suspended(found.owner_of(node)):
                # Not counted as a failure of its network: the client asks again and again until it is restored.
                return Denied(SUSPENDED)
            case Welcome(node):
                return await self._welcome(registration, found, node)
            case Shorten(node, expiry):
                await self._registry.log_out(node, expiry)
                return await self._reread(registration, node)
            case NoLengthening():
                raise RefusedError("extending a key is not allowed")
            case Redeem(expired):
                self._throttle.newcomer(registration.remote_address)
                return await self._redeem(registration, expired)
            case NewKeyNeeded():
                return NodeKeyExpired()
            case AskPerson():
                self._throttle.newcomer(registration.remote_address)
                return await self._ask(registration)

    async def _log_out(self, registration: Registration, node: KnownNode | None) -> Outcome:
        if node is not None:
            await self._registry.log_out(node, None)
            log.info("node logged out", node_id=node.id)
        forgotten = await self._login_store.forget(registration.machine_key, registration.node_key)
        if forgotten is not None:
            await self._news.announce(forgotten)
        return LoggedOut()

    async def _welcome(self, registration: Registration, found: FoundNodes, node: KnownNode) -> Outcome:
        here = Admitted(node, found.owner_of(node))
        if node.tags or not registration.unverified_auth_key:
            return here
        # A restart may carry any old key and none is looked at twice. One thing a key can still do is to turn a
        # user's node into a tagged one: a usable tagged key that the node did not come in with.
        try:
            key = await self._keys.prove(registration.unverified_auth_key)
            if not key.tags or key.id == node.pre_auth_key_id or key.refusal(self._clock.now()) is not None:
                return here
            return await self._admit_by(key, registration)
        except RefusedError:
            return here

    async def _reread(self, registration: Registration, node: KnownNode) -> Outcome:
        found = await self._registry.find(registration.machine_key, registration.node_key, NodeKey.zero())
        node = found.by_node_key or node
        return Admitted(node, found.owner_of(node))

    async def _redeem(self, registration: Registration, expired: KnownNode | None) -> Outcome:
        try:
            key = await self._keys.prove(registration.unverified_auth_key)
            try:
                return await self._admit_by(key, registration)
            except RefusedError:
                if (twin := await self._meanwhile(registration)) is not None:
                    return twin
                raise
        except RefusedError:
            if expired is not None:
                return NodeKeyExpired()  # without a usable key the client must come with a new node key
            raise

    async def _meanwhile(self, registration: Registration) -> Admitted | None:
        # A client that lost its connection sends the same again while the first request is still under way: the key
        # may be spent by then, and the node be in.
        found = await self._registry.find(registration.machine_key, registration.node_key, NodeKey.zero())
        node = found.by_node_key
        if node is None or node.machine_key != registration.machine_key or node.is_expired(self._clock.now()):
            return None
        return Admitted(node, found.owner_of(node))

    async def _admit_by(self, key: PreAuthKey, registration: Registration) -> Admitted:
        tags = await self._tags_by(key, registration)
        hold = await self._keys.claim(key, registration.machine_key, registration.node_key)
        try:
            admitted = await self._registry.admit(
                Admission(
                    machine_key=registration.machine_key,
                    node_key=registration.node_key,
                    old_node_key=registration.old_node_key,
                    user_id=key.user_id,
                    tags=tags,
                    ephemeral=registration.ephemeral or key.ephemeral,
                    expiry=first_expiry(registration.expiry, self._key_lifetime, self._clock.now()),
                    hostinfo=registration.hostinfo,
                    version=registration.version,
                    method=RegisterMethod.AUTH_KEY,
                    pre_auth_key_id=key.id,
                )
            )
        except RefusedError:
            await self._keys.give_back(hold)
            raise
        await self._keys.spend(hold)
        log.info("node admitted by pre-auth key", node_id=admitted.node.id, key_id=key.id)
        return admitted

    async def _tags_by(self, key: PreAuthKey, registration: Registration) -> tuple[str, ...]:
        wanted = registration.device.tags
        if not wanted:
            return key.tags
        if key.tags:
            raise RefusedError("requested tags are not permitted with a tagged auth key: its own tags apply")
        user = await self._registry.user(key.user_id)
        if user is None or not await self._owners.may_own(user, wanted):
            raise RefusedError(not_permitted(wanted))
        return wanted

    async def _ask(self, registration: Registration) -> Outcome:
        login = await self._logins.open(registration)
        if login.state is LoginState.APPROVED:  # a crash came between decision and admission
            return await self._logins.finish(login)
        self._throttle.failure(registration.remote_address)
        return LoginNeeded(login.auth_id, self._logins.url_of(login.auth_id))


def _is_suspended(owner: KnownUser | None) -> bool:
    return owner is not None and owner.suspended
