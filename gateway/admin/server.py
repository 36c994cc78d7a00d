"""Where administrators connect: a unix socket trusted by its file mode, and TCP with API keys."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from headscale.v1 import headscale_pb2
from smartscale.auth.v1 import auth_pb2

from gateway.admin import servicer
from gateway.admin.stubs import Services
from services.shared.config import Config
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

MAX_MESSAGE = 4 << 20
_OPEN = ("/grpc.health.v1.Health/",)
_HEADSCALE = headscale_pb2.DESCRIPTOR.services_by_name["HeadscaleService"].full_name

Registration = Callable[[grpc.aio.Server], None]


class ApiKeyInterceptor(grpc.aio.ServerInterceptor):
    """Lets calls with a valid API key through. Statuses and texts are Headscale's."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]], details: Any
    ) -> Any:
        """Check the key, then go on; otherwise answer UNAUTHENTICATED."""
        handler = await continuation(details)
        if handler is None or details.method.startswith(_OPEN):
            return handler
        metadata = {key: value for key, value in details.invocation_metadata or () if isinstance(value, str)}
        refusal = await self._refusal(metadata.get("authorization"))
        return handler if refusal is None else _refusing(handler, *refusal)

    async def _refusal(self, header: str | None) -> tuple[grpc.StatusCode, str] | None:
        if not header:
            return grpc.StatusCode.UNAUTHENTICATED, "authorization token not supplied"
        if not header.startswith("Bearer "):
            return grpc.StatusCode.UNAUTHENTICATED, 'missing "Bearer " prefix in "authorization" header'
        try:
            await self._services.auth.VerifyApiKey(
                auth_pb2.VerifyApiKeyRequest(key=header.removeprefix("Bearer ").strip()), timeout=5.0
            )
        except grpc.aio.AioRpcError as error:
            if error.code() in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.INVALID_ARGUMENT):
                return grpc.StatusCode.UNAUTHENTICATED, "invalid token"
            return grpc.StatusCode.UNAVAILABLE, "validating token"
        return None


def _refusing(handler: grpc.RpcMethodHandler[Any, Any], code: grpc.StatusCode, text: str) -> Any:
    async def refuse(_: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        await context.abort(code, text)

    async def refuse_stream(_: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        await context.abort(code, text)
        yield

    if handler.request_streaming and handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(refuse_stream)
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(refuse_stream)
    if handler.request_streaming:
        return grpc.stream_unary_rpc_method_handler(refuse)
    return grpc.unary_unary_rpc_method_handler(refuse)


class AdminServer:
    """Both listeners. `more` are registrations that only the unix socket gets."""

    def __init__(self, config: Config, services: Services, more: Sequence[tuple[str, Registration]] = ()) -> None:
        self._config = config
        self._services = services
        self._more = more
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
        with contextlib.suppress(FileNotFoundError):
            self._config.unix_socket.unlink()

    async def _start_unix(self, path: Path) -> None:
        _make_room(path)
        server = self._new(())
        names = []
        for name, register in self._more:
            register(server)
            names.append(name)
        await self._offer(server, names)
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
        certificate, key = self._config.tls_cert_path, self._config.tls_key_path
        secure = certificate is not None and key is not None
        if not secure and not self._config.grpc_allow_insecure:
            log.info("administration over tcp is off", remedy="set tls_cert_path and tls_key_path")
            return
        server = self._new((ApiKeyInterceptor(self._services),))
        await self._offer(server, ())
        if certificate is not None and key is not None:
            pair = (key.read_bytes(), certificate.read_bytes())
            server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
        else:
            server.add_insecure_port(address)
        await server.start()
        self._servers.append(server)

    def _new(self, interceptors: Sequence[grpc.aio.ServerInterceptor]) -> grpc.aio.Server:
        return grpc.aio.server(
            interceptors=interceptors,
            options=(("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.so_reuseport", 0)),
            maximum_concurrent_rpcs=256,
        )

    async def _offer(self, server: grpc.aio.Server, more: Sequence[str]) -> None:
        servicer.add_to(server, self._services)
        checks = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(checks, server)
        for name in ("", _HEADSCALE):
            await checks.set(name, health_pb2.HealthCheckResponse.SERVING)
        reflection.enable_server_reflection((_HEADSCALE, *more, health.SERVICE_NAME, reflection.SERVICE_NAME), server)


def _make_room(path: Path) -> None:
    """Make the socket's folder and remove what a crash left behind; never anything but a socket."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise OSError(f"unix_socket: {path} exists and is not a socket")
        path.unlink()
