"""The listeners of administrators: a unix socket trusted by its file mode, and gRPC over TCP with API keys."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import SERVICE_NAME as HEALTH
from starlette.types import ASGIApp

from gateway.admin.chain import Chain
from gateway.admin.grpc import handlers, reflect
from gateway.admin.grpc.handlers import Arrive, arrive_over_tcp, arrive_over_unix
from gateway.admin.local_socket import LocalSocket, make_room
from gateway.proxies import parse_networks
from services.shared.config import Config
from services.shared.rpc import health
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

MAX_MESSAGE = 4 << 20

Registration = Callable[[grpc.aio.Server], None]


class AdminServer:
    """Both listeners. `web` is the HTTP application of the unix socket, which speaks gRPC too."""

    def __init__(
        self,
        config: Config,
        chain: Chain,
        web: ASGIApp,
        local: Sequence[tuple[str, Registration]] = (),
        credentials: Callable[[], grpc.ServerCredentials] | None = None,
    ) -> None:
        """Prepare both; `local` are registrations of the unix socket alone. Without `credentials` there is no TLS."""
        self._config = config
        self._chain = chain
        self._local = local
        self._credentials = credentials
        behind = config.unix_socket.with_name(f"{config.unix_socket.name}.grpc")
        self._behind = behind
        self._socket = LocalSocket(config.unix_socket, config.unix_socket_permission, web, behind)
        self._shared = config.gateway.worker > 0
        self._servers: list[grpc.aio.Server] = []

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the socket's folder cannot be made, or an address is in use.
        """
        await self._start_unix()
        if self._config.grpc_listen_addr:
            await self._start_tcp(self._config.grpc_listen_addr)

    async def stop(self) -> None:
        """Let running calls finish for two seconds, then end."""
        for server in self._servers:
            await server.stop(2.0)
        await self._socket.stop()
        if self._servers:
            with contextlib.suppress(FileNotFoundError):
                self._behind.unlink()

    async def _start_unix(self) -> None:
        make_room(self._config.unix_socket)
        make_room(self._behind)
        server = self._new()
        for _, register in self._local:
            register(server)
        await self._register(server, arrive_over_unix, [name for name, _ in self._local])
        before = os.umask(0o177)  # for this process alone: everybody else comes through the socket in front
        try:
            server.add_insecure_port(f"unix:{self._behind}")
            await server.start()
        finally:
            os.umask(before)
        self._servers.append(server)
        await self._socket.start()

    async def _start_tcp(self, address: str) -> None:
        if self._credentials is None and not self._config.grpc_allow_insecure:
            log.info("administration over TCP disabled", remedy="set tls_cert_path and tls_key_path")
            return
        trusted = parse_networks(self._config.trusted_proxies)
        server = self._new()
        await self._register(server, arrive_over_tcp(trusted), ())
        if self._credentials is not None:
            server.add_secure_port(address, self._credentials())
        else:
            server.add_insecure_port(address)
        await server.start()
        self._servers.append(server)

    def _new(self) -> grpc.aio.Server:
        return grpc.aio.server(
            options=(("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.so_reuseport", int(self._shared))),
            maximum_concurrent_rpcs=256,
        )

    async def _register(self, server: grpc.aio.Server, arrive: Arrive, local: Sequence[str]) -> None:
        services = handlers.add_to(server, self._chain, arrive)
        statuses = health.add_to(server)
        for name in ("", *services):
            await statuses.set(name, health_pb2.HealthCheckResponse.SERVING)
        reflect.add_to(server, (*services, *local, HEALTH), handlers.admit_with(self._chain, arrive))
