"""Holds Followup requests of clients until their login is approved or rejected, or expires."""

from __future__ import annotations

from dataclasses import replace

from services.auth.model.errors import NotFoundError, RefusedError, UnavailableError
from services.auth.model.login import AuthId, Login, LoginState, read_followup
from services.auth.model.node import AdmittedNode
from services.auth.model.registration import RegistrationRequest
from services.auth.model.rights import SUSPENDED
from services.auth.store.logins import LoginStore
from services.auth.store.notifications import LoginNotifications
from services.auth.store.registry import Registry
from services.auth.usecases.logins import REPLACED, Logins
from services.auth.usecases.outcome import Denied, LoginOpened, Outcome
from services.auth.usecases.register import RegisterNode
from services.auth.usecases.throttle import Throttle
from services.shared.runtime.clock import Clock
from services.shared.telemetry import get_logger

log = get_logger(__name__)


class AwaitLogin:
    """Holds Followup requests of one tailnet."""

    def __init__(
        self,
        register: RegisterNode,
        logins: Logins,
        store: LoginStore,
        registry: Registry,
        news: LoginNotifications,
        throttle: Throttle,
        clock: Clock,
    ) -> None:
        self._register = register
        self._logins = logins
        self._store = store
        self._registry = registry
        self._news = news
        self._throttle = throttle
        self._clock = clock

    async def wait(self, registration: RegistrationRequest, followup: str) -> Outcome:
        """Answer when the login is approved or rejected. An unknown, expired or foreign login means a new registration.

        Raises:
            TooManyError: this machine asks too often, or too many requests wait.
            NotPermittedError: the node key is another machine's.
            UnavailableError: the registry or the policy did not answer.
        """
        self._throttle.attempt(registration.machine_key)
        auth_id = read_followup(followup)
        outcome = await self._wait(registration, auth_id) if auth_id is not None else None
        return outcome if outcome is not None else await self._register_again(registration)

    async def _wait(self, registration: RegistrationRequest, auth_id: AuthId) -> Outcome | None:
        waited = False
        with self._news.watch(auth_id) as watch:
            while True:
                now = self._clock.now()
                login = await self._store.get(auth_id)
                if login is None or not login.alive(now) or not _same(login, registration):
                    return await self._replaced_login(registration, auth_id) if waited else None
                if (outcome := await self._outcome_of(login)) is not None:
                    return outcome
                if login.state is LoginState.ADMITTED:
                    return None  # the node is gone again
                await watch.wait(max(0.0, (login.expires_at - now).total_seconds()))
                waited = True

    async def _outcome_of(self, login: Login) -> Outcome | None:
        match login.state:
            case LoginState.PENDING:
                return None
            case LoginState.REJECTED:
                return Denied(login.reason)
            case LoginState.ADMITTED:
                return await self._admitted(login)
            case LoginState.APPROVED:
                return await self._finish(login)

    async def _admitted(self, login: Login) -> Outcome | None:
        found = await self._registry.find(login.machine_key, login.node_key, login.old_node_key)
        node = found.by_node_key
        if node is None or node.machine_key != login.machine_key:
            return None
        owner = found.owner_of(node)
        return Denied(SUSPENDED) if owner is not None and owner.suspended else AdmittedNode(node, owner)

    async def _finish(self, login: Login) -> Outcome | None:
        # The approver is between its two steps, or crashed there; finishing is safe in both cases.
        try:
            return await self._logins.finish(login)
        except RefusedError as error:
            log.warning("approved login not finished", auth_id=login.auth_id, reason=str(error))
            current = await self._store.get(login.auth_id)
            return Denied(current.reason) if current and current.state is LoginState.REJECTED else None
        except (NotFoundError, UnavailableError) as error:
            log.warning("approved login not finished", auth_id=login.auth_id, reason=str(error))
            return None

    async def _replaced_login(self, registration: RegistrationRequest, auth_id: AuthId) -> Outcome | None:
        # Two waiting requests of one machine must not replace each other's login in turns.
        newer = await self._store.of_machine(registration.machine_key)
        if newer is None or newer.auth_id == auth_id or not newer.alive(self._clock.now()):
            return None
        if newer.node_key == registration.node_key:
            return LoginOpened(newer.auth_id, self._logins.url_of(newer.auth_id))
        return Denied(REPLACED)

    async def _register_again(self, registration: RegistrationRequest) -> Outcome:
        if registration.expiry is not None and registration.expiry <= self._clock.now():
            registration = replace(registration, expiry=None)  # a request that waits for a login is no logout
        return await self._register.answer(registration)


def _same(login: Login, registration: RegistrationRequest) -> bool:
    return login.machine_key == registration.machine_key and login.node_key == registration.node_key
