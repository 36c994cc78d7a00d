"""Builds the auth service from the configuration. The only module that knows store, bus and channels in use."""

from __future__ import annotations

from pathlib import Path

import grpc.aio
from smartscale.auth.v1 import audit_pb2_grpc, auth_pb2_grpc

from services.auth.audit_sweep import AuditSweep
from services.auth.clients import AuthRegistryClient, PolicyTagOwners
from services.auth.decision_sweep import DecisionSweep
from services.auth.notifications import BusLoginNotifications
from services.auth.rights_recovery import RightsRecovery
from services.auth.rpc.audit import AuditServicer, interrupted
from services.auth.rpc.servicer import AuthServicer, AuthUseCases
from services.auth.sign_in_wiring import SignInPart, build_sign_in
from services.auth.sql import (
    SqlApiKeys,
    SqlAudit,
    SqlFlows,
    SqlLogins,
    SqlNodeLogins,
    SqlOAuth,
    SqlPreAuthKeys,
    SqlRights,
    SqlSshChecks,
)
from services.auth.sql.tables import VERSION_TABLE
from services.auth.store.logins import LoginLimits
from services.auth.store.ssh_checks import SshCheckLimits
from services.auth.usecases.api_keys import ApiKeys
from services.auth.usecases.audit import Audit
from services.auth.usecases.await_login import AwaitLogin
from services.auth.usecases.change_rights import ChangeRights
from services.auth.usecases.credentials import Credentials
from services.auth.usecases.logins import LoginRules, Logins
from services.auth.usecases.oauth import OAuthClients
from services.auth.usecases.preauth_keys import PreAuthKeys
from services.auth.usecases.proof import Proof
from services.auth.usecases.register import RegisterNode
from services.auth.usecases.ssh_checks import CheckRules, SshChecks
from services.auth.usecases.throttle import Throttle
from services.shared.background import Background
from services.shared.config.model import Config
from services.shared.db.database import create_engine, migrate
from services.shared.db.engine import AsyncEngine
from services.shared.ids import DEFAULT_TAILNET
from services.shared.runtime.process import Deps

MIGRATIONS = Path(__file__).parent / "migrations"


class AuthService:
    """Pre-auth keys, API keys, registrations and logins of one tailnet."""

    def __init__(
        self,
        engine: AsyncEngine,
        news: BusLoginNotifications,
        servicer: AuthServicer,
        sign_in: SignInPart | None,
        finisher: RightsRecovery,
        sweep: DecisionSweep,
        audit: Audit,
        audit_sweep: AuditSweep,
    ) -> None:
        self._audit = AuditServicer(audit)
        self._audit_sweep = audit_sweep
        self._sign_in = sign_in
        self._finisher = finisher
        self._sweep = sweep
        self._engine = engine
        self._news = news
        self._servicer = servicer

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register the servicer."""
        auth_pb2_grpc.add_AuthServiceServicer_to_server(self._servicer, server)
        audit_pb2_grpc.add_AuditServiceServicer_to_server(self._audit, server)

    @property
    def parked(self) -> int:
        """Number of requests in this process that wait for a person."""
        return self._news.waiting_requests

    async def start(self) -> None:
        """Migrate the tables and subscribe to notifications. Returns when the service can answer."""
        await migrate(self._engine, MIGRATIONS, VERSION_TABLE)
        await self._news.start()
        self._finisher.start()
        self._sweep.start()
        self._audit_sweep.start()
        if self._sign_in is not None:
            try:
                await self._sign_in.start()
            except BaseException:
                await self.stop()
                raise

    async def stop(self) -> None:
        """Stop listening and close the database."""
        if self._sign_in is not None:
            await self._sign_in.stop()
        await self._finisher.stop()
        await self._sweep.stop()
        await self._audit_sweep.stop()
        await self._news.stop()
        await self._engine.dispose()


async def build(config: Config, deps: Deps) -> AuthService:
    """Make the service from the configuration and what the process hands it."""
    tailnet = DEFAULT_TAILNET
    clock = deps.clock
    engine = create_engine(config.database)
    registry = AuthRegistryClient(deps.channels["registry"])
    owners = PolicyTagOwners(deps.channels["policy"], tailnet)
    news = BusLoginNotifications(deps.bus, tailnet, Background(deps.telemetry))
    throttle = Throttle(clock)
    login_store = SqlLogins(engine, tailnet)
    lifetime = config.node.expiry
    logins = Logins(login_store, registry, owners, news, clock, _rules(config))
    node_logins = SqlNodeLogins(engine, tailnet)
    check_store = SqlSshChecks(engine, tailnet)
    checks = SshChecks(check_store, registry, news, clock, _check_rules(config))
    sweep = DecisionSweep(news, login_store, check_store, clock, Background(deps.telemetry))
    flows = SqlFlows(engine, tailnet)
    part = build_sign_in(config, clock, flows, logins, checks, node_logins, registry, deps.telemetry)
    if deps.reloader is not None:
        deps.reloader.add(part)
    proof = Proof()
    keys = PreAuthKeys(SqlPreAuthKeys(engine, tailnet), registry, clock, proof)
    register = RegisterNode(registry, keys, logins, login_store, news, owners, throttle, clock, lifetime)
    rights = ChangeRights(SqlRights(engine, tailnet), registry, news, clock)
    api_keys = ApiKeys(SqlApiKeys(engine, tailnet), clock, proof)
    cases = AuthUseCases(
        register=register,
        await_login=AwaitLogin(register, logins, login_store, registry, news, throttle, clock),
        logins=logins,
        preauth_keys=keys,
        api_keys=api_keys,
        credentials=Credentials(keys, api_keys, OAuthClients(SqlOAuth(engine, tailnet), clock)),
        rights=rights,
        ssh_checks=checks,
        evaluate_access=part.evaluate_access,
        sign_in=part.sign_in,
        reloader=deps.reloader,
    )
    audit = Audit(SqlAudit(engine, tailnet), clock, interrupted)
    audit_sweep = AuditSweep(audit, Background(deps.telemetry))
    servicer = AuthServicer(cases, deps.telemetry)
    recovery = RightsRecovery(rights, Background(deps.telemetry))
    return AuthService(engine, news, servicer, part, recovery, sweep, audit, audit_sweep)


def _rules(config: Config) -> LoginRules:
    total = max(1, config.tuning.register_cache_max_entries)
    # A quarter for each: a proxy that hides its clients counts as one network.
    return LoginRules(
        server_url=config.server_url,
        lifetime=config.tuning.register_cache_expiration,
        room=LoginLimits(total=total, per_network=max(1, total // 4)),
        key_lifetime=config.node.expiry,
    )


def _check_rules(config: Config) -> CheckRules:
    total = max(1, config.tuning.register_cache_max_entries)
    # An eighth for each destination, a quarter for each source.
    room = SshCheckLimits(total, max(1, total // 8), max(1, total // 4), max(1, total // 64))
    return CheckRules(config.server_url, config.tuning.register_cache_expiration, room)
