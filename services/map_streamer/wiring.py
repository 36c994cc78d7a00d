"""Plugs the map streamer together. The only place that knows what was plugged in."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import grpc.aio
from smartscale.map_streamer.v1 import map_streamer_pb2_grpc

from services.map_streamer.gauges import TailnetCollector
from services.map_streamer.ingest import Follower, Replicas, Sources, own_names
from services.map_streamer.render import DnsSettings, RenderSettings
from services.map_streamer.rpc import MapStreamerServicer
from services.map_streamer.snapshot import AccessSettings
from services.map_streamer.tailnet import Admission, Metrics, Tailnet
from services.shared.config.model import Config, DnsConfig
from services.shared.ids import DEFAULT_TAILNET
from services.shared.runtime.process import Deps
from services.shared.telemetry import get_logger

log = get_logger(__name__)

_FIRST_SNAPSHOT = 5.0
"""Seconds that a start waits for the first snapshot; sessions that come before it wait by themselves."""


class MapStreamerService:
    """The map streamer of one process."""

    def __init__(
        self,
        tailnet: Tailnet,
        follower: Follower,
        sources: Sources,
        replicas: Replicas,
        servicer: MapStreamerServicer,
    ) -> None:
        self.tailnet = tailnet
        self._replicas = replicas
        self._follower = follower
        self._sources = sources
        self._servicer = servicer
        self._tasks: list[asyncio.Task[None]] = []

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register the servicer."""
        add = map_streamer_pb2_grpc.add_MapStreamerServiceServicer_to_server
        add(self._servicer, server)

    async def start(self) -> None:
        """Follow the logs and tell; returns with the first snapshot, or when it is long in coming."""
        await self._sources.start()
        self._run(self.tailnet.run(), "tailnet")
        self._run(self._follower.run(), "follower")
        self._run(self._sources.run(), "sources")
        self._run(self._replicas.run(), "replicas")
        try:
            await asyncio.wait_for(self.tailnet.ready.wait(), _FIRST_SNAPSHOT)
        except TimeoutError:
            log.warning("no snapshot yet, map sessions wait for it")

    def _run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"map_streamer {name}")
        task.add_done_callback(_report)
        self._tasks.append(task)

    async def stop(self) -> None:
        """End the work; attached gateways see their stream end."""
        for gateway in self.tailnet.roster.gateways():
            gateway.outbox.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("work of the map streamer ended", task=task.get_name(), error=type(error).__name__)


async def build(config: Config, deps: Deps) -> MapStreamerService:
    """Make the service from the configuration and what the process hands it."""
    metrics = Metrics(deps.telemetry.registry)
    access = AccessSettings(
        server_url=config.server_url,
        prefixes=tuple(prefix for prefix in (config.prefixes.v4, config.prefixes.v6) if prefix),
        taildrop=config.taildrop.enabled,
        auto_update=config.auto_update.enabled,
    )
    render = RenderSettings(dns=dns_settings(config.dns), logtail=config.logtail.enabled)
    tailnet = Tailnet(deps.clock, access, render, metrics, deps.telemetry.tracer)
    deps.telemetry.registry.register(TailnetCollector(tailnet))
    follower = Follower(DEFAULT_TAILNET, tailnet, deps.bus, deps.channels["registry"], deps.channels["policy"], metrics)
    sources = Sources(config.derp, config.dns, tailnet, own_names(config))
    admission = Admission(tailnet, deps.clock, metrics)
    replicas = Replicas(DEFAULT_TAILNET, tailnet, admission, deps.bus)
    return MapStreamerService(tailnet, follower, sources, replicas, MapStreamerServicer(tailnet, admission, deps.clock))


def dns_settings(dns: DnsConfig) -> DnsSettings:
    """What clients hear of the configuration's `dns`."""
    override = dns.override_local_dns
    return DnsSettings(
        magic_dns=dns.magic_dns,
        base_domain=dns.base_domain,
        override_local_dns=bool(dns.nameservers.global_) if override is None else override,
        nameservers=dns.nameservers.global_,
        split=dns.nameservers.split,
        search_domains=dns.search_domains,
        extra_records=tuple((record.name, record.type, record.value) for record in dns.extra_records),
    )
