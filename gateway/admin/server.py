"""Where administrators connect: a unix socket trusted by its file mode, and TCP with API keys."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from headscale.v1 import headscale_pb2

from gateway.admin import reflect, servicer
from gateway.admin.guard import Guard
from gateway.admin.servicer import Calls
from gateway.admin.stubs import Refused
from gateway.proxies import Network, client_address, parse_networks
from services.shared.config import Config
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

MAX_MESSAGE = 4 << 20
_OPEN = ("/grpc.health.v1.Health/",)
_HEADSCALE = headscale_pb2.DESCRIPTOR.services_by_name["HeadscaleService"].full_name

Registration = Callable[[grpc.aio.Server], None]


class GuardInterceptor(grpc.aio.ServerInterceptor):
    """Lets calls through that the guard admits; asked when the call runs, because only then its peer is known."""

    def __init__(self, guard: Guard, trusted_proxies: Sequence[Network] = ()) -> None:
        self._guard = guard
        self._trusted = tuple(trusted_proxies)

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]], details: Any
    ) -> Any:
        """Put the guard before the handler."""
        handler = await continuation(details)
        if handler is None or details.method.startswith(_OPEN):
            return handler
        return _guarded(handler, self._admit)

    async def _admit(self, context: Any) -> None:
        metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        try:
            address = client_address(address_of(context.peer()), metadata, self._trusted)
            await self._guard.admit(metadata.get("authorization"), address)
        except Refused as refusal:
            await servicer.abort(context, refusal)


def address_of(peer: str) -> str:
    """The address in gRPC's text of a peer, such as `ipv4:192.0.2.1:4711` or `ipv6:%5B2001:db8::1%5D:4711`."""
    return unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]") or peer


def _guarded(handler: Any, admit: Callable[[Any], Awaitable[None]]) -> Any:
    inner = handler.unary_unary or handler.stream_unary or handler.unary_stream or handler.stream_stream

    async def unary(request: Any, context: Any) -> Any:
        await admit(context)
        return await inner(request, context)

    async def stream(request: Any, context: Any) -> Any:
        await admit(context)
        async for response in inner(request, context):
            yield response

    codec = {
        "request_deserializer": handler.request_deserializer,
        "response_serializer": handler.response_serializer,
    }
    if handler.request_streaming and handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(stream, **codec)
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(stream, **codec)
    if handler.request_streaming:
        return grpc.stream_unary_rpc_method_handler(unary, **codec)
    return grpc.unary_unary_rpc_method_handler(unary, **codec)


class AdminServer:
    """Both listeners. `everywhere` are registrations that both get, `more` those that only the unix socket gets."""

    def __init__(
        self,
        config: Config,
        calls: Calls,
        guard: Guard,
        more: Sequence[tuple[str, Registration]] = (),
        everywhere: Sequence[tuple[str, Registration]] = (),
    ) -> None:
        self._config = config
        self._calls = calls
        self._guard = guard
        self._more = more
        self._everywhere = everywhere
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
        trusted = parse_networks(self._config.trusted_proxies)
        server = self._new((GuardInterceptor(self._guard, trusted),))
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
            options=(("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.so_reuseport", int(self._shared))),
            maximum_concurrent_rpcs=256,
        )

    async def _offer(self, server: grpc.aio.Server, more: Sequence[str]) -> None:
        servicer.add_to(server, self._calls)
        checks = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(checks, server)
        shared = []
        for name, register in self._everywhere:
            register(server)
            shared.append(name)
        for name in ("", _HEADSCALE, *shared):
            await checks.set(name, health_pb2.HealthCheckResponse.SERVING)
        reflect.add_to(server, (_HEADSCALE, *shared, *more, health.SERVICE_NAME))


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
