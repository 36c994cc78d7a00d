"""The code under test, twice each: map streamers and gateways that can be killed, stopped and started again."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence

from opentelemetry import trace
from prometheus_client import CollectorRegistry
from smartscale.map_streamer.v1 import map_streamer_pb2 as pb

from gateway.clients.map_streamer import MapStreamerClient
from gateway.clients.registry import RegistryClient
from gateway.edge.tunnels import Tunnels
from gateway.edge.wheel import TimerWheel
from gateway.exchange import Responder, TunnelRequest
from gateway.machine.attachment import Attachment
from gateway.machine.frame_cache import FramesById
from gateway.machine.in_flight import InFlight
from gateway.machine.map import Map
from gateway.machine.map_sessions import MapSessions
from gateway.machine.metrics import MachineMetrics
from gateway.machine.presence import Presence
from gateway.machine.reports import LastReports
from gateway.machine.session import MapSessionRequest
from gateway.machine.session_interfaces import Timing
from services.map_streamer.ingest import LogIngest, Replicas, Sources
from services.map_streamer.rpc import MapStreamerServicer
from services.map_streamer.tailnet import Metrics, SessionAdmission, Tailnet
from services.map_streamer.wiring import MapStreamerService
from services.shared.background import Background
from services.shared.bus import Bus
from services.shared.config.model import DerpConfig, DnsConfig
from services.shared.ids import DEFAULT_TAILNET
from services.shared.keys import PrivateKey
from services.shared.rpc import LocalChannel, LocalServer
from services.shared.runtime.clock import Clock
from services.shared.telemetry.setup import Telemetry
from tests.fakes.streamer import ACCESS, RENDER

CONTROL = PrivateKey.clamp(b"\x11" * 32)


class Streamer:
    """A map streamer; `client` reaches whichever runs at this place."""

    def __init__(self, number: int, logs: LocalServer, bus: Bus, clock: Clock) -> None:
        self.address = f"streamer-{number}"
        self._logs, self._bus, self._clock = logs, bus, clock
        self._server = LocalServer()
        self.service: MapStreamerService | None = None

    async def start(self) -> None:
        """Start it where nothing runs."""
        channel, metrics = LocalChannel(self._logs), Metrics(CollectorRegistry())
        tailnet = Tailnet(self._clock, ACCESS, RENDER, metrics)
        follower = LogIngest(DEFAULT_TAILNET, tailnet, self._bus, channel, channel, metrics)
        admission = SessionAdmission(tailnet, self._clock, metrics)
        replicas = Replicas(DEFAULT_TAILNET, tailnet, admission, self._bus)
        sources = Sources(DerpConfig(), DnsConfig(), tailnet)
        servicer = MapStreamerServicer(tailnet, admission)
        self.service = MapStreamerService(tailnet, follower, sources, replicas, servicer, Background(Telemetry()))
        self._server = LocalServer()
        self.service.add_to(self._server)
        await self.service.start()

    async def kill(self) -> None:
        """It is gone, and said goodbye to nobody."""
        service, self.service = self.service, None
        if service is not None:
            await self._server.stop(None)
            await service.stop()

    async def attach(self, requests: AsyncIterator[pb.AttachRequest]) -> AsyncIterator[pb.AttachResponse]:
        """What a gateway calls: a channel to this address."""
        async for response in MapStreamerClient(LocalChannel(self._server), self.address).attach(requests):
            yield response


class Gateway:
    """A gateway from its tunnels down to its attachment; only listening sockets and registration are left out."""

    def __init__(
        self,
        streamers: Sequence[Streamer],
        logs: LocalServer,
        clock: Clock,
        *,
        frame_bytes: int,
        initial_map_bytes: int,
    ) -> None:
        name, metrics = secrets.token_hex(8), MachineMetrics(CollectorRegistry())
        self._registry = RegistryClient(LocalChannel(logs), name)
        self._reports, self._work = LastReports(), InFlight()
        self._presence = Presence(self._registry.report_sessions)
        wheel = TimerWheel.of_loop(asyncio.get_running_loop())
        timing = Timing(initial_map_bytes=initial_map_bytes)
        self.sessions = MapSessions(clock, wheel.after, self._presence, metrics, timing, self._forget)
        self.sessions._frames = FramesById(frame_bytes)
        tracer = trace.NoOpTracer()
        self._attachment = Attachment(name, streamers, self.sessions, metrics)
        self._map = Map(self._registry, self.sessions, self._reports, self._work, metrics, tracer)
        self.tunnels = Tunnels(CONTROL, self, wheel=wheel, send_early_payload=False)
        self.gone = False

    def handle(self, request: TunnelRequest, responder: Responder) -> None:
        """The only path that devices of the model ask for."""
        assert request.path == "/machine/map"
        self._map.handle(request, responder)

    def start(self) -> None:
        """Begin."""
        self._presence.start()
        self._attachment.start()

    async def stop(self) -> None:
        """End as planned restarts do."""
        self.gone = True
        await self.tunnels.close(1.0)
        self.sessions.stop()
        await self._work.stop()
        await self._presence.stop()
        await self._attachment.stop()

    async def kill(self) -> None:
        """End as a lost machine does: nobody is told; the caller cuts the cables."""
        self.gone = True
        await self._work.stop()
        await self._attachment.stop()
        await self._presence._background.stop()

    def _forget(self, ask: MapSessionRequest) -> None:
        self._reports.forget(ask.machine_key, ask.node_key)
