"""The gRPC server on a socket: authentication, health, reflection, limits and telemetry. Knows no service."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol, cast

import grpc
import grpc.aio
from grpc_health.v1 import health_pb2
from grpc_health.v1.health import SERVICE_NAME as HEALTH

from services.shared.config.model import ServicesConfig, ServicesTlsConfig
from services.shared.rpc import health
from services.shared.rpc.interceptors import ObserveInterceptor, TokenInterceptor
from services.shared.telemetry.setup import Telemetry

MAX_MESSAGE = 64 << 20

SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 4),
)


class InsecureError(ValueError):
    """Neither a deployment token nor certificates are configured: the server would be open to all."""


class Servable(Protocol):
    """A service that can register its servicers."""

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register the servicers on a server."""
        ...


class RpcServer:
    """The gRPC server of a process. Call `add`, `start`, `set_ready` and `stop` in this order."""

    def __init__(self, security: ServicesConfig, telemetry: Telemetry, *, shared: bool = False) -> None:
        """The server requires client certificates if configured, else the deployment token.

        Several processes of the same user may listen on one `shared` address.

        Raises:
            InsecureError: neither is configured.
        """
        self._tls = security.tls
        self._observe = ObserveInterceptor(telemetry)
        interceptors: list[grpc.aio.ServerInterceptor] = [self._observe]
        if security.token:
            interceptors.insert(0, TokenInterceptor(security.token, telemetry))
        elif not security.tls.enabled:
            raise InsecureError("set services.token or services.tls")
        options = (*SERVER_OPTIONS, ("grpc.so_reuseport", int(shared)))
        self._server = grpc.aio.server(interceptors=interceptors, options=options)
        self._health = health.add_to(self._server)
        self._names: list[str] = []

    def add(self, service: Servable) -> None:
        """Register the servicers of a service."""
        service.add_to(cast(grpc.aio.Server, _Recorder(self._server, self._names)))

    async def start(self, address: str) -> int:
        """Listen on `host:port` (port 0 picks one) or `unix:/path`, and return the port. Not ready yet.

        Raises:
            OSError: the address cannot be bound.
        """
        from grpc_reflection.v1alpha import reflection  # late: in one process with all others there is no such server

        names = (*self._names, HEALTH, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        await self.set_ready(False)
        port = bind(self._server, address, self._tls)
        self._observe.listens(address, 0 if address.startswith("unix:") else port)
        await self._server.start()
        return port

    async def set_ready(self, ready: bool) -> None:
        """Set the status of the health service."""
        status = health_pb2.HealthCheckResponse.SERVING if ready else health_pb2.HealthCheckResponse.NOT_SERVING
        for name in ("", *self._names):
            await self._health.set(name, status)

    async def stop(self, grace: float = 5.0) -> None:
        """Report NOT_SERVING, let running calls finish within `grace` seconds, then stop."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace)


def bind(server: grpc.aio.Server, address: str, tls: ServicesTlsConfig | None = None) -> int:
    """Listen on an address, over mutual TLS if configured.

    Raises:
        OSError: the address cannot be bound.
    """
    if address.startswith(":"):
        address = f"[::]{address}"
    try:
        if tls is not None and tls.enabled and not address.startswith("unix:"):
            return server.add_secure_port(address, _credentials(tls))
        return server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"cannot listen on {address}") from error


def _credentials(tls: ServicesTlsConfig) -> grpc.ServerCredentials:
    assert tls.key_path is not None and tls.cert_path is not None and tls.ca_path is not None
    pair = (_read(tls.key_path), _read(tls.cert_path))
    return grpc.ssl_server_credentials([pair], _read(tls.ca_path), require_client_auth=True)


def _read(path: Path) -> bytes:
    return path.read_bytes()


class _Recorder:
    """Passes registrations on, and records the names of the services."""

    def __init__(self, server: grpc.aio.Server, names: list[str]) -> None:
        self._server = server
        self._names = names

    def add_generic_rpc_handlers(self, handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        self._server.add_generic_rpc_handlers(handlers)

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, grpc.RpcMethodHandler[object, object]]
    ) -> None:
        self._names.append(service_name)
        self._server.add_registered_method_handlers(service_name, method_handlers)
