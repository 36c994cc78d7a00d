"""Plugs the gateway together. The only place that knows every part of it."""

from __future__ import annotations

import asyncio
import secrets
from urllib.parse import urlsplit

import grpc.aio

from gateway.admin.calls.table import all_methods
from gateway.admin.chain import Chain
from gateway.admin.grpc.server import AdminServer
from gateway.admin.guard import Guard
from gateway.admin.metrics import AdminMetrics
from gateway.admin.rest.v1 import router as rest
from gateway.admin.services import Services
from gateway.clients.auth import AuthClient
from gateway.clients.liveness import Liveness
from gateway.clients.map_streamer import MapStreamerClient
from gateway.clients.registry import RegistryClient
from gateway.clients.ssh import SshClient
from gateway.debug.wiring import add_debug_pages
from gateway.edge.listener import listener_class
from gateway.edge.settings import EdgeSettings
from gateway.edge.tunnels import Tunnels
from gateway.edge.wheel import TimerWheel
from gateway.holding import Holding
from gateway.machine import debug
from gateway.machine.attachment import Attachment
from gateway.machine.c2n import Questions
from gateway.machine.keepalive import INTERVAL, JITTER
from gateway.machine.map import Map
from gateway.machine.map_sessions import MapSessions, Timing
from gateway.machine.metrics import MachineMetrics
from gateway.machine.pace import Pace
from gateway.machine.presence import Presence, PresenceReport
from gateway.machine.register import Register
from gateway.machine.reports import LastReports
from gateway.machine.router import Router
from gateway.machine.session import MapAsk
from gateway.machine.ssh import MAX_HELD, MAX_HELD_PER_MACHINE, Ssh
from gateway.machine.work import Work
from gateway.process import keyfile
from gateway.process.workers import sockets_beside
from gateway.proxies import parse_networks
from gateway.public import sign_in
from gateway.public.app import build_app
from gateway.public.control import Health, control_router
from gateway.public.measured import HttpMetrics
from gateway.public.offered import Offered
from gateway.public.server import WebServer
from gateway.telemetry import EdgeCollector, HeldCollector
from services.shared.config import Config
from services.shared.runtime.process import Deps
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)


class GatewayService:
    """The only door, embedded or alone."""

    def __init__(self, config: Config, deps: Deps) -> None:
        self._config = config
        self._gateway_id = secrets.token_hex(8)
        self._metrics = deps.telemetry.once(MachineMetrics)
        self._registry = RegistryClient(deps.channels["registry"], self._gateway_id)
        self._reports = LastReports()
        self._work = Work()
        self._presence = Presence(self._report_sessions)
        wheel = TimerWheel.of_loop(asyncio.get_running_loop())
        self.sessions = MapSessions(
            deps.clock, wheel.after, self._presence, self._metrics, timing_of(config), self._forget_report
        )
        streamer = MapStreamerClient(deps.channels["map_streamer"], "map_streamer")
        self._attachment = Attachment(self._gateway_id, [streamer], self.sessions, self._metrics, deps.telemetry.tracer)
        host = f"https://{urlsplit(config.server_url).netloc}"
        self.questions = Questions(self.sessions, host, config.gateway.max_answer_body)
        pace = Pace(config.gateway.reconnects_per_second, config.gateway.reports_per_second, self._metrics)
        register = Register(
            AuthClient(deps.channels["auth"]),
            self._reports,
            self._work,
            self._metrics,
            deps.telemetry.tracer,
            config.gateway.login_wait.total_seconds(),
            pace,
        )
        map_ = Map(
            self._registry,
            self.sessions,
            self._reports,
            self._work,
            self._metrics,
            deps.telemetry.tracer,
            pace,
        )
        self._held = Work(MAX_HELD, MAX_HELD_PER_MACHINE)
        ssh = Ssh(
            SshClient(deps.channels["map_streamer"], deps.channels["auth"]),
            self._held,
            pace,
            deps.telemetry.tracer,
            config.server_url,
            config.gateway.login_wait.total_seconds(),
        )
        key = keyfile.load_or_create(config.noise.private_key_path)
        router = Router(register, map_, ssh, self.questions)
        self._tunnels = Tunnels(key, router, edge_settings_of(config), wheel, self.questions.body_limit)
        deps.telemetry.registry.register(EdgeCollector(self._tunnels.counts))
        deps.telemetry.registry.register(
            HeldCollector(
                {
                    "machine_requests_waiting": ("Requests of nodes that wait for a service.", lambda: len(self._work)),
                    "machine_ssh_waiting": (
                        "SSH sessions that wait for a person or a service.",
                        lambda: len(self._held),
                    ),
                    "machine_questions_open": ("Questions to nodes without an answer.", lambda: len(self.questions)),
                    "map_full_bytes_in_flight": ("Bytes of full maps under way.", lambda: self.sessions.full_bytes),
                }
            )
        )
        health = Health(Liveness(deps.channels))
        services = Services(deps.channels)
        counted = deps.telemetry.once(AdminMetrics)
        guard = Guard(services, counted, config.gateway.admin_calls_per_second, config.gateway.admin_wrong_keys)
        chain = Chain(all_methods(services), guard, counted, deps.telemetry)
        offered = Offered(config)
        if deps.reloader is not None:
            deps.reloader.add(offered)
        routers = [
            control_router(self._tunnels.control_key, self._registry.may_relay, health),
            *sign_in.page_routers(offered, config.server_url, services.auth),
            rest.router(chain),
        ]
        app = build_app(routers, parse_networks(config.trusted_proxies), deps.telemetry.once(HttpMetrics))
        holding = Holding(
            self._gateway_id, self._tunnels.counts, self.sessions, self._attachment, self.questions, deps.clock
        )
        add_debug_pages(deps.telemetry.pages, deps.channels, holding)
        self._web = WebServer(
            config.listen_addr,
            app,
            listener_class(self._tunnels),
            config.tls_cert_path,
            config.tls_key_path,
            shared=config.gateway.worker > 0,
            on_tls_failed=self._tunnels.tls_failed,
        )
        siblings = debug.Siblings(sockets_beside(config))
        local = ((debug.NAME, lambda server: debug.add_to(server, self.questions, siblings)),)
        self._admin = AdminServer(config, chain, local)

    @property
    def port(self) -> int:
        """The port that is listened on, once started."""
        return self._web.port

    def add_to(self, server: grpc.aio.Server) -> None:
        """Nothing: nobody calls the gateway from within."""

    async def start(self) -> None:
        """Open the door.

        Raises:
            OSError: an address is in use.
        """
        self._presence.start()
        self._attachment.start()
        await self._admin.start()
        await self._web.start()
        log.info("gateway listens", address=self._config.listen_addr, control_key=str(self._tunnels.control_key))

    async def stop(self) -> None:
        """Let clients go one after the other, then close the door."""
        self._web.close()
        self._presence.leave()
        await self._tunnels.close(self._config.gateway.drain_timeout.total_seconds() / 2)
        self.sessions.stop()
        await self._work.stop()
        await self._held.stop()
        await self._presence.stop()
        await self._attachment.stop()
        await self._admin.stop()
        await self._web.wait_closed()

    async def _report_sessions(self, report: PresenceReport) -> bool:
        return await self._registry.report_sessions(
            report.opened, report.closed, complete=report.complete, stopping=report.stopping
        )

    def _forget_report(self, ask: MapAsk) -> None:
        self._reports.forget(ask.machine_key, ask.node_key)


async def build(config: Config, deps: Deps) -> GatewayService:
    """Make the gateway from the configuration and what the process hands it."""
    return GatewayService(config, deps)


def timing_of(config: Config) -> Timing:
    """The bounds of map sessions."""
    interval = config.gateway.keepalive_interval.total_seconds()
    return Timing(
        keepalive=interval,
        jitter=JITTER * interval / INTERVAL,
        initial_map_bytes=config.gateway.initial_map_bytes,
    )


def edge_settings_of(config: Config) -> EdgeSettings:
    """The bounds of the edge."""
    limits = config.gateway
    return EdgeSettings(
        head_deadline=limits.handshake_timeout.total_seconds(),
        check_interval=limits.check_interval.total_seconds(),
        idle_timeout=limits.idle_timeout.total_seconds(),
        max_connections=limits.max_connections,
        max_connections_per_address=limits.max_connections_per_address,
        handshakes_per_second=limits.handshakes_per_second,
        reconnects_per_second=limits.reconnects_per_second,
        max_half_open=limits.max_handshakes,
        max_body=limits.max_request_body,
        high_water=limits.high_water,
        trusted_proxies=parse_networks(config.trusted_proxies),
    )
