"""Where administrators connect: a unix socket trusted by its file mode, and TCP with API keys."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import SERVICE_NAME as HEALTH

from gateway.admin.chain import Chain
from gateway.admin.grpc import handlers, reflect
from gateway.admin.grpc.handlers import Arrive, arrive_over_tcp, arrive_over_unix
from gateway.proxies import parse_networks
from services.shared.config import Config
from services.shared.rpc import health
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

MAX_MESSAGE = 4 << 20

Registration = Callable[[grpc.aio.Server], None]


class AdminServer:
    """Both listeners. `local` are registrations that only the unix socket gets, by the name of their service."""

    def __init__(
        self,
        config: Config,
        chain: Chain,
        local: Sequence[tuple[str, Registration]] = (),
        credentials: Callable[[], grpc.ServerCredentials] | None = None,
    ) -> None:
        """Prepare both. Without `credentials` there is no TLS."""
        self._config = config
        self._chain = chain
        self._local = local
        self._credentials = credentials
        self._shared = config.gateway.worker > 0
        self._servers: list[grpc.aio.Server] = []

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the socket's folder cannot be made, or an address is in use.
        """
        await self._start_unix(self._config.unix_socket)
        if self._config.grpc_listen_addr:
            await self._start_tcp(self._config.grpc_listen_addr)

    async def stop(self) -> None:
        """Let running calls finish for two seconds, then end."""
        for server in self._servers:
            await server.stop(2.0)
        if self._servers:
            with contextlib.suppress(FileNotFoundError):
                self._config.unix_socket.unlink()

    async def _start_unix(self, path: Path) -> None:
        _make_room(path)
        server = self._new()
        for _, register in self._local:
            register(server)
        await self._register(server, arrive_over_unix, [name for name, _ in self._local])
        # The socket appears with the right mode at once: nobody can slip in before a chmod.
        before = os.umask(0o777 & ~self._config.unix_socket_permission)
        try:
            server.add_insecure_port(f"unix:{path}")
            await server.start()
        finally:
            os.umask(before)
        os.chmod(path, self._config.unix_socket_permission)  # noqa: PTH101  one system call on a local file
        self._servers.append(server)

    async def _start_tcp(self, address: str) -> None:
        if self._credentials is None and not self._config.grpc_allow_insecure:
            log.info("administration over tcp is off", remedy="set tls_cert_path and tls_key_path")
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
        reflect.add_to(server, (*services, *local, HEALTH))


def _make_room(path: Path) -> None:
    """Make the socket's folder and remove what a crash left behind; never anything but a socket that nobody serves."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise OSError(f"unix_socket: {path} exists and is not a socket")
        if _served(path):
            raise OSError(f"unix_socket: another server listens at {path}")
        path.unlink()


def _served(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except BlockingIOError:  # its queue is full: somebody has it
            return True
        except OSError:
            return False
    return True
