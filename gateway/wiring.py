"""Connects the parts of the gateway. The only module that knows all of them; decides nothing."""

from __future__ import annotations

import asyncio
import secrets
from urllib.parse import urlsplit

import grpc.aio

from gateway.admin.audit import AuditTrail
from gateway.admin.calls.table import all_methods
from gateway.admin.chain import Chain
from gateway.admin.grpc.server import AdminServer
from gateway.admin.guard import Guard
from gateway.admin.metrics import AdminMetrics
from gateway.admin.rest import rpc
from gateway.admin.rest.v1 import router as rest
from gateway.admin.rest.v2 import router as rest_v2
from gateway.admin.rest.v2.operation import ConfiguredTailnet
from gateway.admin.services import Services
from gateway.clients.auth import AuthClient
from gateway.clients.liveness import Liveness
from gateway.clients.map_streamer import MapStreamerClient
from gateway.clients.registry import RegistryClient
from gateway.clients.ssh import SshClient
from gateway.debug.wiring import add_debug_pages
from gateway.edge.listener import listener_class
from gateway.edge.relay_forward import RelayForwarder
from gateway.edge.tunnels import Tunnels
from gateway.edge.wheel import TimerWheel
from gateway.inspection import GatewayInspector
from gateway.machine import c2n_service
from gateway.machine.attachment import Attachment
from gateway.machine.c2n import NodeQueries
from gateway.machine.departures import Departures
from gateway.machine.in_flight import InFlight
from gateway.machine.map import Map
from gateway.machine.map_framing import INTERVAL, JITTER
from gateway.machine.map_sessions import MapSessions
from gateway.machine.metrics import MachineMetrics
from gateway.machine.pace import Pace
from gateway.machine.presence import Presence
from gateway.machine.register import Register
from gateway.machine.reports import LastReports
from gateway.machine.router import Router
from gateway.machine.router_probe import RouterProbe
from gateway.machine.session import MapSessionRequest
from gateway.machine.session_interfaces import Timing
from gateway.machine.ssh import MAX_WAITING, MAX_WAITING_PER_MACHINE, Ssh
from gateway.process import keyfile
from gateway.process.certificates import listener_certificate
from gateway.process.workers import sockets_beside
from gateway.proxies import parse_networks
from gateway.public import sign_in
from gateway.public.app import build_app
from gateway.public.challenges import challenge_app
from gateway.public.control import Health, control_router
from gateway.public.home import home_router
from gateway.public.measured import HttpMetrics
from gateway.public.offered import Offered
from gateway.public.server import WebServer
from gateway.telemetry import EdgeCollector, GaugeCollector
from gateway.web import Routes
from services.shared.background import Background
from services.shared.config import Config
from services.shared.runtime.command_line import command_line
from services.shared.runtime.process import Deps
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)


class MachineSide:
    """The parts that answer requests inside tunnels, and their connections to the services."""

    def __init__(self, config: Config, deps: Deps, wheel: TimerWheel, gateway_id: str) -> None:
        metrics = deps.telemetry.once(MachineMetrics)
        self.registry = RegistryClient(deps.channels["registry"], gateway_id)
        self._reports = LastReports()
        self._requests = InFlight(telemetry=deps.telemetry)
        self._ssh_requests = InFlight(MAX_WAITING, MAX_WAITING_PER_MACHINE, deps.telemetry)
        self.presence = Presence(self.registry.report_sessions, self._set_probed, telemetry=deps.telemetry)
        self.sessions = MapSessions(
            deps.clock,
            wheel.after,
            self.presence,
            metrics,
            timing_of(config),
            self._forget_report,
            config.messages.contact,
        )
        self._departures = Departures(self.registry.departure, self.sessions, Background(deps.telemetry))
        ha = config.node.routes.ha
        self._probe = RouterProbe(
            self.sessions,
            asyncio.get_running_loop().call_later,
            ha.probe_interval.total_seconds(),
            ha.probe_timeout.total_seconds(),
        )
        streamer = MapStreamerClient(deps.channels["map_streamer"], "map_streamer")
        self.attachment = Attachment(gateway_id, [streamer], self.sessions, metrics, deps.telemetry)
        host = f"https://{urlsplit(config.server_url).netloc}"
        self.queries = NodeQueries(self.sessions, host, config.gateway.max_answer_body)
        self.router = self._build_router(config, deps, metrics)
        deps.telemetry.registry.register(self._gauges())

    def _build_router(self, config: Config, deps: Deps, metrics: MachineMetrics) -> Router:
        tracer, limits = deps.telemetry.tracer, config.gateway
        login_wait = limits.login_wait.total_seconds()
        pace = Pace(limits.reconnects_per_second, limits.reports_per_second, metrics)
        auth = AuthClient(deps.channels["auth"])
        ssh_client = SshClient(deps.channels["map_streamer"], deps.channels["auth"])
        register = Register(auth, self._reports, self._requests, metrics, tracer, login_wait, pace)
        map_ = Map(self.registry, self.sessions, self._reports, self._requests, metrics, tracer, pace)
        ssh = Ssh(ssh_client, self._ssh_requests, pace, tracer, config.server_url, login_wait)
        return Router(register, map_, ssh, self.queries)

    def _gauges(self) -> GaugeCollector:
        return GaugeCollector(
            {
                "machine_requests_waiting": ("Requests of nodes that wait for a service.", lambda: len(self._requests)),
                "machine_ssh_waiting": (
                    "SSH sessions that wait for a person or a service.",
                    lambda: len(self._ssh_requests),
                ),
                "machine_queries_open": ("Queries to nodes without an answer.", lambda: len(self.queries)),
                "routers_probed": (
                    "Nodes that are probed, because another node can take over a route of theirs.",
                    lambda: len(self._probe.nodes),
                ),
                "map_full_bytes_in_flight": ("Bytes of full maps under way.", lambda: self.sessions.full_bytes),
            }
        )

    def start(self) -> None:
        """Start to report presence and to attach to a map streamer."""
        self.presence.start()
        self.attachment.start()

    async def stop(self) -> None:
        """End sessions and requests, then the connections to the services."""
        self._probe.stop()
        self.sessions.stop()
        await self._departures.stop()
        await self._requests.stop()
        await self._ssh_requests.stop()
        await self.presence.stop()
        await self.attachment.stop()

    def _set_probed(self, nodes: frozenset[int]) -> None:
        self._probe.set_nodes(nodes)

    def _forget_report(self, request: MapSessionRequest) -> None:
        self._reports.forget(request.machine_key, request.node_key)


class GatewayService:
    """The gateway process, embedded or alone."""

    def __init__(self, config: Config, deps: Deps) -> None:
        self._config = config
        gateway_id = secrets.token_hex(8)
        wheel = TimerWheel.of_loop(asyncio.get_running_loop())
        self._machine = MachineSide(config, deps, wheel, gateway_id)
        self._tunnels = self._build_tunnels(wheel)
        deps.telemetry.registry.register(EdgeCollector(self._tunnels.counts))
        counted = deps.telemetry.once(AdminMetrics)
        services = Services(deps.channels)
        self._guard = Guard(services, counted, config.gateway.admin_calls_per_second, config.gateway.admin_wrong_keys)
        chain = Chain(all_methods(services), self._guard, counted, deps.telemetry, AuditTrail(services))
        inspector = GatewayInspector(
            gateway_id,
            self._tunnels.counts,
            self.sessions,
            self._machine.attachment,
            self.queries,
            deps.clock,
        )
        add_debug_pages(deps.telemetry.pages, deps.channels, inspector)
        self._certificate = listener_certificate(config, deps.telemetry)
        if self._certificate is not None and deps.reloader is not None:
            deps.reloader.add(self._certificate.watcher)
        self._challenges = self._build_challenges(deps)
        self._handovers = deps.handovers
        self._relay = self._build_forwarder(deps)
        self._web = self._build_web(deps, services, chain)
        self._admin = self._build_admin(chain)

    @property
    def sessions(self) -> MapSessions:
        """The map sessions of this gateway."""
        return self._machine.sessions

    @property
    def queries(self) -> NodeQueries:
        """The queries to nodes of this gateway."""
        return self._machine.queries

    @property
    def port(self) -> int:
        """The port of the listener, once started."""
        return self._web.port

    def _build_tunnels(self, wheel: TimerWheel) -> Tunnels:
        config = self._config
        return Tunnels(
            keyfile.load_or_create(config.noise.private_key_path),
            self._machine.router,
            config.gateway,
            wheel,
            self.queries.body_limit,
            trusted_proxies=parse_networks(config.trusted_proxies),
        )

    def _build_web(self, deps: Deps, services: Services, chain: Chain) -> WebServer:
        config = self._config
        offered = Offered(config)
        if deps.reloader is not None:
            deps.reloader.add(offered)
        routers = [
            control_router(
                self._tunnels.control_key, self._machine.registry.may_relay, Health(Liveness(deps.channels))
            ),
            home_router(config.server_url, command_line(config.source)),
            *sign_in.page_routers(offered, config.server_url, services.auth),
            *_administration(chain, self._guard, self._config),
        ]
        app = build_app(routers, parse_networks(config.trusted_proxies), deps.telemetry.once(HttpMetrics))
        return WebServer(
            config.listen_addr,
            app,
            listener_class(self._tunnels, deps.handovers),
            self._certificate,
            shared=config.gateway.worker > 0,
            on_tls_failed=self._tunnels.tls_failed,
            telemetry=deps.telemetry,
        )

    def _build_forwarder(self, deps: Deps) -> RelayForwarder | None:
        limits = self._config.gateway
        if not limits.relay_address:
            return None
        return RelayForwarder(limits.relay_address, limits.max_connections, Background(deps.telemetry))

    def _build_admin(self, chain: Chain) -> AdminServer:
        siblings = c2n_service.SiblingWorkers(sockets_beside(self._config))
        local = ((c2n_service.NAME, lambda server: c2n_service.add_to(server, self.queries, siblings)),)
        credentials = None if self._certificate is None else self._certificate.credentials
        app = build_app(_administration(chain, self._guard, self._config))
        return AdminServer(self._config, chain, app, local, credentials)

    def _build_challenges(self, deps: Deps) -> WebServer | None:
        """Return the listener for HTTP-01, which answers the tunnel too: clients try port 80 first."""
        config, certificate = self._config, self._certificate
        if certificate is None or certificate.store is None or config.tls_letsencrypt_challenge_type != "HTTP-01":
            return None
        return WebServer(
            config.tls_letsencrypt_listen,
            challenge_app(certificate.store, config.server_url),
            listener_class(self._tunnels, deps.handovers),
            shared=config.gateway.worker > 0,
            telemetry=deps.telemetry,
        )

    def add_to(self, server: grpc.aio.Server) -> None:
        """Add no gRPC service: no other process calls the gateway."""

    async def start(self) -> None:
        """Start to serve.

        Raises:
            OSError: an address is in use.
        """
        self._machine.start()
        await self._admin.start()
        if self._relay is not None and self._handovers.relay is None:
            self._handovers.relay = self._relay.adopt
        await self._web.start()
        if self._challenges is not None:
            await self._challenges.start()
        if self._certificate is not None:
            self._certificate.start()
        log.info("gateway listens", address=self._config.listen_addr, control_key=str(self._tunnels.control_key))

    async def stop(self) -> None:
        """Close tunnel after tunnel, then the listeners."""
        if self._certificate is not None:
            await self._certificate.stop()
        if self._challenges is not None:
            self._challenges.close()
        self._web.close()
        self._machine.presence.begin_drain()
        await self._tunnels.close(self._config.gateway.drain_timeout.total_seconds() / 2)
        await self._machine.stop()
        if self._relay is not None:
            await self._relay.stop()
        await self._admin.stop()
        await self._web.wait_closed()
        if self._challenges is not None:
            await self._challenges.wait_closed()


def _administration(chain: Chain, guard: Guard, config: Config) -> list[Routes]:
    """Return the routes of administrators, for the public listener and for the unix socket."""
    tailnet = ConfiguredTailnet(config.dns.base_domain or "default", config.dns)
    return [rest.router(chain), rest_v2.router(chain, tailnet, guard.issue_token), rpc.router(chain)]


async def build(config: Config, deps: Deps) -> GatewayService:
    """Build the gateway from the configuration and the dependencies of the process."""
    return GatewayService(config, deps)


def timing_of(config: Config) -> Timing:
    """Return the timing of map sessions."""
    interval = config.gateway.keepalive_interval.total_seconds()
    return Timing(
        keepalive=interval,
        jitter=JITTER * interval / INTERVAL,
        initial_map_bytes=config.gateway.initial_map_bytes,
    )
