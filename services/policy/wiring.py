"""Builds the policy service from the configuration. The only module that knows store, bus and file in use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import grpc.aio
from smartscale.policy.v1 import policy_pb2_grpc

from services.policy.clients import RegistrySubjects, UserFollower
from services.policy.model.compiler import ProviderGroups
from services.policy.outbox import Outbox
from services.policy.rpc import PolicyServicer
from services.policy.sql import SqlStore
from services.policy.sql.tables import VERSION_TABLE
from services.policy.usecases import Policies, Rules
from services.policy.watch import PolicyFile
from services.policy.wire import ChangeCodec
from services.shared.background import Background
from services.shared.bus import Bus
from services.shared.config.model import Config
from services.shared.db.database import create_engine, migrate
from services.shared.db.engine import AsyncEngine
from services.shared.ids import DEFAULT_TAILNET
from services.shared.runtime.process import Deps
from services.shared.runtime.sighup import listen
from services.shared.telemetry import get_logger

log = get_logger(__name__)

_PAUSES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
"""Seconds between attempts to reach the registry after the start."""

MIGRATIONS = Path(__file__).parent / "migrations"


class PolicyService:
    """The policy of one tailnet."""

    def __init__(
        self,
        engine: AsyncEngine,
        policies: Policies,
        servicer: PolicyServicer,
        file: PolicyFile | None,
        config: Config,
        bus: Bus,
        background: Background,
    ) -> None:
        self._engine = engine
        self._policies = policies
        self._servicer = servicer
        self._file = file
        self._mode = config.policy.mode
        self._users = UserFollower(bus, DEFAULT_TAILNET, self._users_changed)
        self._background = background
        self._reloading: asyncio.Task[None] | None = None
        self._deaf: Callable[[], None] | None = None

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register the servicer on a gRPC server."""
        policy_pb2_grpc.add_PolicyServiceServicer_to_server(self._servicer, server)

    async def start(self) -> None:
        """Migrate the tables and put the policy in force; returns when the service is ready."""
        await migrate(self._engine, MIGRATIONS, VERSION_TABLE)
        self._deaf = listen(self._hang_up)
        if self._mode == "database":
            settled = await self._policies.use_stored(alone=True)
        elif self._file is None:
            settled = True
            await self._policies.use_no_file()
        else:
            settled = await self._file.reload(self._apply_file_at_start)
            self._background.keep(self._file.watch, "policy file")
        self._background.keep(self._users.run, "policy users")
        if not settled:
            self._background.run(self._settle(), "policy settling")

    async def _apply_file_at_start(self, text: str, name: str) -> bool:
        return await self._policies.take_file(text, name, alone=True)

    async def _settle(self) -> None:
        """Load the policy again once the registry, which starts later, has nodes and users."""
        for pause in _PAUSES:
            await asyncio.sleep(pause)
            try:
                if await self._apply_source():
                    return
            except Exception:
                log.exception("policy reload failed")

    async def _apply_source(self) -> bool:
        return await (self._policies.use_stored() if self._file is None else self._file.reload())

    async def _users_changed(self) -> None:
        """Load a refused policy again: it may name a user who exists now."""
        if self._policies.waiting:
            await self._apply_source()

    async def reload(self) -> None:
        """Reload the policy file, as on SIGHUP. Does nothing in database mode."""
        if self._file is not None:
            await self._file.reload()

    async def prepare(self, config: Config) -> Callable[[], None]:
        """Return a function that applies a new configuration; its domains and groups affect compilation."""
        rules = rules_of(config)

        def use() -> None:
            if self._policies.follow(rules):
                self._background.run(self._reapply(), "policy under new rules")

        return use

    async def _reapply(self) -> None:
        await self._apply_source()

    def _hang_up(self) -> None:
        if self._reloading is None or self._reloading.done():
            self._reloading = self._background.run(self.reload(), "policy reload")

    async def stop(self) -> None:
        """Stop watching and close the database."""
        if self._deaf is not None:
            self._deaf()
        await self._background.stop()
        await self._engine.dispose()


async def build(config: Config, deps: Deps) -> PolicyService:
    """Build the service from the configuration and the dependencies of the process."""
    engine = create_engine(config.database)
    store = SqlStore(engine, DEFAULT_TAILNET, ChangeCodec())
    rules = rules_of(config)
    channel = deps.channels.get("registry")
    tailnet = RegistrySubjects(channel, deps.clock) if channel is not None else None
    policies = Policies(store, Outbox(deps.bus, DEFAULT_TAILNET), deps.clock, rules, tailnet)
    file = None
    if rules.file_mode and config.policy.path is not None:
        file = PolicyFile(config.policy.path, policies.take_file, policies.keep_last_good)
    servicer = PolicyServicer(policies, deps.telemetry.tracer)
    service = PolicyService(engine, policies, servicer, file, config, deps.bus, Background(deps.telemetry))
    if deps.reloader is not None:
        deps.reloader.add(service)
    return service


def rules_of(config: Config) -> Rules:
    """Return the settings of policies in a configuration."""
    prefixes = tuple(str(prefix) for prefix in (config.prefixes.v4, config.prefixes.v6) if prefix)
    oidc = config.oidc
    provider = ProviderGroups(oidc.groups.on_conflict) if oidc.brings_groups() else None
    in_file = config.policy.mode == "file"
    return Rules(file_mode=in_file, domains=oidc.all_domains(), prefixes=prefixes, provider=provider)
