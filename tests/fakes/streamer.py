"""A whole map streamer in one loop, between a registry and a policy of which only the logs are real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry
from smartscale.map_streamer.v1 import map_streamer_pb2_grpc
from smartscale.policy.v1 import policy_pb2_grpc
from smartscale.registry.v1 import registry_pb2_grpc

from services.map_streamer.ingest import LogIngest, Replicas, Sources
from services.map_streamer.render import RenderSettings
from services.map_streamer.rpc import MapStreamerServicer
from services.map_streamer.snapshot import AccessSettings
from services.map_streamer.tailnet import Metrics, SessionAdmission, Tailnet
from services.map_streamer.wiring import MapStreamerService
from services.shared.background import Background
from services.shared.bus.memory import MemoryBus
from services.shared.config.model import DerpConfig, DnsConfig
from services.shared.ids import DEFAULT_TAILNET
from services.shared.rpc import LocalChannel, LocalServer
from services.shared.runtime.clock import Clock, SystemClock
from services.shared.telemetry.setup import Telemetry
from tests.fakes.change_logs import FakePolicy, FakeRegistry, make_user
from tests.fakes.gateway_stream import GatewayStream

RENDER = RenderSettings(dns=DnsConfig(base_domain="tail.example.net"))
ACCESS = AccessSettings("https://hs.example.net", ("100.64.0.0/10", "fd7a:115c:a1e0::/48"))


@dataclass
class Lab:
    """The parts of a running streamer."""

    bus: MemoryBus
    registry: FakeRegistry
    policy: FakePolicy
    logs: LocalServer
    clock: Clock = field(default_factory=SystemClock)
    access: AccessSettings = ACCESS
    render: RenderSettings = RENDER
    gateways: list[GatewayStream] = field(default_factory=list)
    services: list[MapStreamerService] = field(default_factory=list)
    servers: list[LocalServer] = field(default_factory=list)

    async def start(self, *, quiet: float = 60.0) -> Tailnet:
        """Start one more replica."""
        channel = LocalChannel(self.logs)
        metrics = Metrics(CollectorRegistry())
        tailnet = Tailnet(self.clock, self.access, self.render, metrics)
        follower = LogIngest(DEFAULT_TAILNET, tailnet, self.bus, channel, channel, metrics, quiet)
        admission = SessionAdmission(tailnet, self.clock, metrics)
        replicas = Replicas(DEFAULT_TAILNET, tailnet, admission, self.bus)
        sources = Sources(DerpConfig(), DnsConfig(), tailnet)
        servicer = MapStreamerServicer(tailnet, admission)
        service = MapStreamerService(tailnet, follower, sources, replicas, servicer, Background(Telemetry()))
        server = LocalServer()
        service.add_to(server)
        await service.start()
        self.services.append(service)
        self.servers.append(server)
        return tailnet

    def attach(self, gateway_id: str = "gateway-a", replica: int = 0) -> GatewayStream:
        """Attach one more gateway."""
        stub = map_streamer_pb2_grpc.MapStreamerServiceStub(LocalChannel(self.servers[replica]))
        gateway = GatewayStream(stub, gateway_id)
        self.gateways.append(gateway)
        return gateway


async def until(condition: Callable[[], object], deadline: float = 5.0) -> None:
    """Wait until something is so; fails when it does not come about in time."""
    async with asyncio.timeout(deadline):
        while True:
            if condition():
                return
            await asyncio.sleep(0.001)


@asynccontextmanager
async def streamer_lab(clock: Clock | None = None) -> AsyncIterator[Lab]:
    """Registry and policy with one user; nothing else runs yet."""
    bus = MemoryBus()
    lab = Lab(bus, FakeRegistry(bus), FakePolicy(bus), LocalServer())
    if clock is not None:
        lab.clock = clock
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(lab.registry, lab.logs)
    policy_pb2_grpc.add_PolicyServiceServicer_to_server(lab.policy, lab.logs)
    await lab.registry.put_user(make_user(1))
    try:
        yield lab
    finally:
        for gateway in lab.gateways:
            await gateway.close()
        for service in lab.services:
            await service.stop()
        for server in [*lab.servers, lab.logs]:
            await server.stop(None)
