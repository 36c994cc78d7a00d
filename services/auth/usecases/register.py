"""Answers registrations: executes the decision of `model.registration` with the registry, keys and pending logins."""

from __future__ import annotations

from datetime import timedelta

from services.auth.model.errors import RefusedError, TooManyError
from services.auth.model.login import LoginState, RegisterMethod
from services.auth.model.node import AdmittedNode, FoundNodes, KnownNode, KnownUser, NodeToAdmit
from services.auth.model.preauth_key import PreAuthKey
from services.auth.model.registration import (
    AlreadyRegistered,
    ExtensionRefused,
    LoginRequired,
    LogOutNode,
    NewNodeKeyRequired,
    RedeemAuthKey,
    ReduceExpiry,
    RegistrationRequest,
    decide,
    first_expiry,
)
from services.auth.model.rights import SUSPENDED
from services.auth.store.logins import LoginStore
from services.auth.store.notifications import LoginNotifications
from services.auth.store.policy import TagOwners
from services.auth.store.registry import Registry
from services.auth.usecases.logins import Logins, tags_refused_text
from services.auth.usecases.outcome import Denied, LoginOpened, NodeKeyExpired, NodeLoggedOut, Outcome, RetryAfter
from services.auth.usecases.preauth_keys import PreAuthKeys
from services.auth.usecases.throttle import Throttle
from services.shared.keys import NodeKey
from services.shared.runtime.clock import Clock
from services.shared.telemetry import get_logger

log = get_logger(__name__)


class RegisterNode:
    """Answers registrations of one tailnet."""

    def __init__(
        self,
        registry: Registry,
        keys: PreAuthKeys,
        logins: Logins,
        login_store: LoginStore,
        news: LoginNotifications,
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

    async def register(self, registration: RegistrationRequest) -> Outcome:
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

    async def answer(self, registration: RegistrationRequest) -> Outcome:
        """Answer a registration of a machine within its rate limit."""
        found = await self._registry.find(registration.machine_key, registration.node_key, registration.old_node_key)
        try:
            return await self._carry_out(registration, found)
        except RefusedError as error:
            self._throttle.failure(registration.remote_address)
            log.info("registration refused", machine_key=str(registration.machine_key), reason=str(error))
            return Denied(str(error))

    async def _carry_out(self, registration: RegistrationRequest, found: FoundNodes) -> Outcome:
        match decide(registration, found, self._clock.now()):
            case LogOutNode(node):
                return await self._log_out(registration, node)
            case AlreadyRegistered(node) | ReduceExpiry(node) if _is_suspended(found.owner_of(node)):
                # Not counted as a failure of its network: the client repeats the request until the user is restored.
                return Denied(SUSPENDED)
            case AlreadyRegistered(node):
                return await self._answer_registered(registration, found, node)
            case ReduceExpiry(node, expiry):
                await self._registry.log_out(node, expiry)
                return await self._answer_updated(registration, node)
            case ExtensionRefused():
                raise RefusedError("extending a key is not allowed")
            case RedeemAuthKey(expired):
                self._throttle.check_network(registration.remote_address)
                return await self._redeem(registration, expired)
            case NewNodeKeyRequired():
                return NodeKeyExpired()
            case LoginRequired():
                self._throttle.check_network(registration.remote_address)
                return await self._ask(registration)

    async def _log_out(self, registration: RegistrationRequest, node: KnownNode | None) -> Outcome:
        if node is not None:
            await self._registry.log_out(node, None)
            log.info("node logged out", node_id=node.id)
        forgotten = await self._login_store.forget(registration.machine_key, registration.node_key)
        if forgotten is not None:
            await self._news.announce(forgotten)
        return NodeLoggedOut()

    async def _answer_registered(
        self, registration: RegistrationRequest, found: FoundNodes, node: KnownNode
    ) -> Outcome:
        here = AdmittedNode(node, found.owner_of(node))
        if node.tags or not registration.unverified_auth_key:
            return here
        # A client may send any old key when it restarts, so keys are ignored here, with one exception: a usable
        # tagged key that the node was not admitted by turns a user's node into a tagged one.
        try:
            key = await self._keys.verify(registration.unverified_auth_key)
            if not key.tags or key.id == node.pre_auth_key_id or key.refusal(self._clock.now()) is not None:
                return here
            return await self._admit_by(key, registration)
        except RefusedError:
            return here

    async def _answer_updated(self, registration: RegistrationRequest, node: KnownNode) -> Outcome:
        found = await self._registry.find(registration.machine_key, registration.node_key, NodeKey.zero())
        node = found.by_node_key or node
        return AdmittedNode(node, found.owner_of(node))

    async def _redeem(self, registration: RegistrationRequest, expired: KnownNode | None) -> Outcome:
        try:
            key = await self._keys.verify(registration.unverified_auth_key)
            try:
                return await self._admit_by(key, registration)
            except RefusedError:
                if (twin := await self._admitted_meanwhile(registration)) is not None:
                    return twin
                raise
        except RefusedError:
            if expired is not None:
                return NodeKeyExpired()  # without a usable key the client must come with a new node key
            raise

    async def _admitted_meanwhile(self, registration: RegistrationRequest) -> AdmittedNode | None:
        # A client that lost its connection repeats the request while the first one is in progress: by then the key
        # may be used and the node admitted.
        found = await self._registry.find(registration.machine_key, registration.node_key, NodeKey.zero())
        node = found.by_node_key
        if node is None or node.machine_key != registration.machine_key or node.is_expired(self._clock.now()):
            return None
        return AdmittedNode(node, found.owner_of(node))

    async def _admit_by(self, key: PreAuthKey, registration: RegistrationRequest) -> AdmittedNode:
        tags = await self._tags_by(key, registration)
        hold = await self._keys.claim(key, registration.machine_key, registration.node_key)
        try:
            admitted = await self._registry.admit(
                NodeToAdmit(
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
                    ipv4=key.ipv4,
                    ipv6=key.ipv6,
                )
            )
        except RefusedError:
            await self._keys.release_claim(hold)
            raise
        await self._keys.spend(hold)
        log.info("node admitted by pre-auth key", node_id=admitted.node.id, key_id=key.id)
        return admitted

    async def _tags_by(self, key: PreAuthKey, registration: RegistrationRequest) -> tuple[str, ...]:
        wanted = registration.device.tags
        if not wanted:
            return key.tags
        if key.tags:
            raise RefusedError("requested tags are not permitted with a tagged auth key: its own tags apply")
        user = await self._registry.user(key.user_id)
        if user is None or not await self._owners.may_own(user, wanted):
            raise RefusedError(tags_refused_text(wanted, user))
        return wanted

    async def _ask(self, registration: RegistrationRequest) -> Outcome:
        login = await self._logins.open(registration)
        if login.state is LoginState.APPROVED:  # a crash came between decision and admission
            return await self._logins.finish(login)
        self._throttle.failure(registration.remote_address)
        return LoginOpened(login.auth_id, self._logins.url_of(login.auth_id))


def _is_suspended(owner: KnownUser | None) -> bool:
    return owner is not None and owner.suspended
