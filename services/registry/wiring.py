"""Builds the registry from the configuration. The only module that knows which store and bus are in use."""

from __future__ import annotations

import grpc.aio
from smartscale.registry.v1 import registry_pb2_grpc

from services.registry.change_codec import ProtoFactCodec
from services.registry.clients import policy_follower
from services.registry.metrics import NodestoreCollector, RegistryMetrics
from services.registry.model.address import Pool
from services.registry.outbox import Outbox
from services.registry.rpc import RegistryServicer, UseCases
from services.registry.sql import SqlStore
from services.registry.timer import KeeperTimer
from services.registry.usecases.addresses import Addresses, AddressRules
from services.registry.usecases.admission import NodeAdmission
from services.registry.usecases.allocation import Allocator
from services.registry.usecases.approval import CurrentPolicy, PolicyChange
from services.registry.usecases.attributes import PostureAttributes
from services.registry.usecases.dns import DnsSettings
from services.registry.usecases.elections import Elections
from services.registry.usecases.feed import Feed
from services.registry.usecases.identities import Identities
from services.registry.usecases.keeper import Keeper
from services.registry.usecases.ledger import Ledger
from services.registry.usecases.listing import Listings
from services.registry.usecases.nodes import Nodes
from services.registry.usecases.people import People
from services.registry.usecases.presence import PresenceTracker
from services.registry.usecases.relays import Relays
from services.registry.usecases.rights import Rights
from services.registry.usecases.settings import RegistrySettings
from services.registry.usecases.tailnet_settings import ConfiguredSettings, StoredSettings
from services.registry.usecases.updates import Updates
from services.registry.usecases.users import Users
from services.shared.background import Background
from services.shared.changelog import Follower
from services.shared.config.model import Config
from services.shared.db.database import create_engine
from services.shared.db.engine import AsyncEngine
from services.shared.ids import DEFAULT_TAILNET
from services.shared.rpc.interceptors import RpcMetrics
from services.shared.runtime.process import Deps


class RegistryService:
    """The registry of one tailnet, embedded or alone."""

    def __init__(self, config: Config, deps: Deps, settings: RegistrySettings) -> None:
        tailnet = DEFAULT_TAILNET
        codec = ProtoFactCodec(tailnet)
        self._background = Background(deps.telemetry)
        self._engine: AsyncEngine = create_engine(config.database)
        self._store = SqlStore(self._engine, tailnet, codec)
        self._outbox = Outbox(deps.bus, self._store, tailnet)
        self._metrics = deps.telemetry.once(RegistryMetrics)
        deps.telemetry.once(NodestoreCollector).follow(deps.telemetry.once(RpcMetrics))
        self.ledger = Ledger(
            self._store,
            codec,
            self._outbox.publish,
            deps.clock,
            self._metrics,
            deps.telemetry.tracer if deps.telemetry.tracing else None,
            Background(deps.telemetry),
        )
        elections = Elections(self.ledger, settings.takeback, self._metrics)
        self.keeper = Keeper(self.ledger, self._store, settings, deps.clock, elections)
        self.timer = KeeperTimer(self.keeper, self._outbox)
        allocator, policies = Allocator(settings), CurrentPolicy()
        self.policies = policies
        rules = AddressRules(settings, policies)
        self.ledger.consequences = (policies.follow_users, elections.follow)
        self._follower: Follower | None = None
        if "policy" in deps.channels:
            change = PolicyChange(self.ledger, policies)
            self._follower = policy_follower(deps.channels["policy"], deps.bus, change, tailnet)
        cases = UseCases(
            users=Users(self.ledger),
            people=People(self.ledger),
            identities=Identities(self.ledger),
            rights=Rights(self.ledger),
            listings=Listings(self.ledger),
            addresses=Addresses(self.ledger, rules),
            nodes=Nodes(self.ledger, settings, allocator, policies),
            admission=NodeAdmission(self.ledger, settings, allocator, policies, rules),
            updates=Updates(self.ledger, allocator, policies),
            presence=PresenceTracker(self.ledger, self.timer.wake),
            elections=elections,
            relays=Relays(self.ledger),
            dns=DnsSettings(self.ledger, config.dns),
            attributes=PostureAttributes(self.ledger),
            settings=StoredSettings(
                self.ledger,
                ConfiguredSettings(
                    key_expiry=settings.node_expiry,
                    auto_updates=config.auto_update.enabled,
                    policy_file=config.policy.mode == "file",
                ),
            ),
            feed=Feed(self.ledger, self._store),
        )
        self._servicer = RegistryServicer(cases, tailnet)

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register the servicer."""
        registry_pb2_grpc.add_RegistryServiceServicer_to_server(self._servicer, server)

    async def start(self) -> None:
        """Migrate the tables, load the tailnet and start the timer; return when ready to serve.

        Raises:
            StoreUnavailableError: the database cannot be used.
        """
        await self._store.prepare()
        await self.ledger.start()
        self._metrics.watch(lambda: self.ledger.waiting, lambda: self.ledger.cached_state)
        self._background.keep(self.timer.run, "registry timer")
        if self._follower is not None:
            self._background.keep(self._follower.run, "registry policy follower")

    async def stop(self) -> None:
        """Finish the current transaction and close the database."""
        await self._background.stop()
        await self.ledger.stop()
        await self._engine.dispose()


async def build(config: Config, deps: Deps, settings: RegistrySettings | None = None) -> RegistryService:
    """Build the service from the configuration and the dependencies of the process."""
    return RegistryService(config, deps, settings or settings_of(config))


def settings_of(config: Config) -> RegistrySettings:
    """Return the registry's settings from the configuration."""
    prefixes = config.prefixes
    return RegistrySettings(
        v4=Pool.of(prefixes.v4) if prefixes.v4 else None,
        v6=Pool.of(prefixes.v6) if prefixes.v6 else None,
        random_addresses=prefixes.allocation == "random",
        base_domain=config.dns.base_domain,
        node_expiry=config.node.expiry,
        takeback=config.node.routes.ha.takeback,
        ephemeral_timeout=config.node.ephemeral.inactivity_timeout,
        address_quarantine=config.node.address_quarantine,
    )
