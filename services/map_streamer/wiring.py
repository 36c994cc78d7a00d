"""Builds the map streamer from the configuration. The only module that knows every implementation."""

from __future__ import annotations

import asyncio

import grpc.aio
from smartscale.map_streamer.v1 import map_streamer_pb2_grpc

from services.map_streamer.gauges import TailnetCollector
from services.map_streamer.ingest import LogIngest, Replicas, Sources, own_names
from services.map_streamer.render import NoticeTexts, RenderSettings
from services.map_streamer.rpc import MapStreamerServicer
from services.map_streamer.snapshot import AccessSettings, NoticeSettings
from services.map_streamer.tailnet import Metrics, SessionAdmission, Tailnet
from services.shared.background import Background
from services.shared.config.model import Config
from services.shared.ids import DEFAULT_TAILNET
from services.shared.runtime.process import Deps
from services.shared.telemetry import get_logger

log = get_logger(__name__)

_FIRST_SNAPSHOT = 5.0
"""Seconds that the start waits for the first snapshot. Sessions opened earlier wait in `SessionAdmission`."""


class MapStreamerService:
    """The map streamer service of one process: its servicer and its background work."""

    def __init__(
        self,
        tailnet: Tailnet,
        follower: LogIngest,
        sources: Sources,
        replicas: Replicas,
        servicer: MapStreamerServicer,
        background: Background,
    ) -> None:
        self.tailnet = tailnet
        self._replicas = replicas
        self._follower = follower
        self._sources = sources
        self._servicer = servicer
        self._background = background

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register the servicer."""
        add = map_streamer_pb2_grpc.add_MapStreamerServiceServicer_to_server
        add(self._servicer, server)

    async def start(self) -> None:
        """Start to follow the logs. Returns with the first snapshot, or after 5 seconds without one."""
        await self._sources.start()
        self._background.keep(self.tailnet.run, "map-streamer tailnet")
        self._background.keep(self._follower.run, "map-streamer follower")
        self._background.keep(self._sources.run, "map-streamer sources")
        self._background.keep(self._replicas.run, "map-streamer replicas")
        try:
            async with asyncio.timeout(_FIRST_SNAPSHOT):
                await self.tailnet.ready.wait()
        except TimeoutError:
            log.warning("no snapshot yet, map sessions wait for it")

    async def stop(self) -> None:
        """Stop the background work and end the streams of attached gateways."""
        for gateway in self.tailnet.roster.gateways():
            gateway.outbox.close()
        await self._background.stop()


async def build(config: Config, deps: Deps) -> MapStreamerService:
    """Build the service from the configuration and the dependencies of the process."""
    metrics = Metrics(deps.telemetry.registry)
    access = AccessSettings(
        server_url=config.server_url,
        prefixes=tuple(prefix for prefix in (config.prefixes.v4, config.prefixes.v6) if prefix),
        taildrop=config.taildrop.enabled,
        auto_update=config.auto_update.enabled,
        random_ports=config.randomize_client_port,
        notices=NoticeSettings(config.messages.key_expiry, config.messages.oldest_clients),
    )
    render = RenderSettings(
        dns=config.dns,
        logtail=config.logtail.enabled,
        notices=NoticeTexts(config.server_url, config.messages.contact),
        unpinned_old_clients=config.derp.server.allow_unpinned_old_clients,
    )
    tailnet = Tailnet(deps.clock, access, render, metrics, deps.telemetry.tracer)
    deps.telemetry.registry.register(TailnetCollector(tailnet))
    follower = LogIngest(
        DEFAULT_TAILNET, tailnet, deps.bus, deps.channels["registry"], deps.channels["policy"], metrics
    )
    sources = Sources(config.derp, config.dns, tailnet, own_names(config))
    admission = SessionAdmission(tailnet, deps.clock, metrics)
    replicas = Replicas(DEFAULT_TAILNET, tailnet, admission, deps.bus)
    servicer = MapStreamerServicer(tailnet, admission, deps.clock)
    return MapStreamerService(tailnet, follower, sources, replicas, servicer, Background(deps.telemetry))
