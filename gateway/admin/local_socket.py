"""The unix socket of administrators: gRPC and HTTP/1.1 on one path, distinguished by their first bytes.

gRPC connections are passed on, byte for byte, to the gRPC server behind; HTTP ones are served here. Whoever may open
the socket is trusted, and the kernel names the user.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import secrets
import socket
import stat
import struct
import sys
from asyncio import BaseTransport, Protocol, Transport
from pathlib import Path
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.admin.rest.serving import SYSTEM_USER
from services.shared.net.unix_socket import is_served
from services.shared.telemetry.logs import get_logger
from services.shared.uvicorn_parts import Config, HttpToolsProtocol, ServerState

log = get_logger(__name__)

MAX_CONNECTIONS = 256
FIRST_BYTES_DEADLINE = 10.0
"""Seconds in which the first bytes of a connection must arrive."""
_PREFACE = b"PRI"
"""Begin of HTTP/2's connection preface (RFC 9113, 3.4); no method of HTTP/1.1 begins so."""
_CREDENTIALS = struct.Struct("3i")
"""struct ucred of unix(7): process, user, group."""
USER_MARK = "-uid-"
"""Stands before the user's number in the name that a passed-on connection is bound to."""


class LocalSocket:
    """One listening unix socket, with the application of HTTP and the path of the gRPC server behind."""

    def __init__(self, path: Path, mode: int, app: ASGIApp, grpc_path: Path) -> None:
        self._path, self._mode, self._grpc_path = path, mode, grpc_path
        self._config = Config(
            cast(Any, app),
            http=HttpToolsProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
        )
        self._config.load()
        self._state = ServerState()
        self._open: set[_FirstBytes] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. The socket has its mode from the first moment on.

        Raises:
            OSError: it cannot be made, or another server listens there.
        """
        listener = socket.socket(socket.AF_UNIX)
        before = os.umask(0o777 & ~self._mode)
        try:
            listener.bind(str(self._path))
        finally:
            os.umask(before)
        os.chmod(self._path, self._mode)  # noqa: PTH101  one system call on a local file
        self._server = await asyncio.get_running_loop().create_unix_server(self._accept, sock=listener)

    async def stop(self) -> None:
        """Stop listening and end all connections."""
        if self._server is None:
            return
        self._server.close()
        for protocol in list(self._state.connections):
            cast(HttpToolsProtocol, protocol).shutdown()
        for connection in list(self._open):
            connection.end()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def _accept(self) -> Protocol:
        return _FirstBytes(self)

    def room(self) -> bool:
        """Return whether another connection may be open."""
        return len(self._open) + len(self._state.connections) < MAX_CONNECTIONS

    def opened(self, connection: _FirstBytes) -> None:
        """Count a connection that is not HTTP, or not yet."""
        self._open.add(connection)

    def closed(self, connection: _FirstBytes) -> None:
        """Count it no longer."""
        self._open.discard(connection)

    def http(self, transport: Transport, user: int | None) -> Protocol:
        """Let a connection of this user speak HTTP/1.1; returns its protocol, connected."""
        protocol = HttpToolsProtocol(config=self._config, server_state=self._state, app_state={})
        protocol.app = _ofuser(self._config.loaded_app, user_name(user))
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        return protocol

    async def grpc(self, transport: Transport, user: int | None) -> Transport:
        """Connect to the gRPC server behind, under a name that carries the user's number.

        Raises:
            OSError: it does not answer.
        """
        inner = socket.socket(socket.AF_UNIX)
        inner.setblocking(False)
        if user is not None and sys.platform == "linux":
            inner.bind(f"\0smartscale-{secrets.token_hex(8)}{USER_MARK}{user}")
        loop = asyncio.get_running_loop()
        await loop.sock_connect(inner, str(self._grpc_path))
        made, _ = await loop.create_unix_connection(lambda: _Back(transport), sock=inner)
        return made


class _FirstBytes(Protocol):
    """A connection until its protocol is known; afterwards the inbound direction of a gRPC connection."""

    def __init__(self, owner: LocalSocket) -> None:
        self._owner = owner
        self._transport: Transport | None = None
        self._inner: Transport | None = None
        self._passing: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._buffer = b""

    def connection_made(self, transport: BaseTransport) -> None:
        self._transport = cast(Transport, transport)
        if not self._owner.room():
            self._transport.abort()
            return
        self._owner.opened(self)
        self._deadline = asyncio.get_running_loop().call_later(FIRST_BYTES_DEADLINE, self.end)

    def data_received(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.write(data)
            return
        self._buffer += data
        if self._passing is not None or len(self._buffer) < len(_PREFACE) or self._transport is None:
            return
        self._disarm()
        user = peer_user(self._transport)
        if self._buffer.startswith(_PREFACE):
            self._transport.pause_reading()
            self._passing = asyncio.create_task(self._pass_on(self._transport, user))
            return
        self._owner.closed(self)
        data, self._buffer = self._buffer, b""
        self._owner.http(self._transport, user).data_received(data)

    async def _pass_on(self, transport: Transport, user: int | None) -> None:
        try:
            self._inner = await self._owner.grpc(transport, user)
        except OSError as error:
            log.warning("gRPC behind the unix socket does not answer", reason=str(error))
            transport.abort()
            return
        self._inner.write(self._buffer)
        self._buffer = b""
        transport.resume_reading()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_reading()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        self._owner.closed(self)
        if self._passing is not None:
            self._passing.cancel()
        if self._inner is not None:
            self._inner.close()

    def end(self) -> None:
        """End the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()


class _Back(Protocol):
    """The outbound direction of a gRPC connection; paused while the client does not read."""

    def __init__(self, client: Transport) -> None:
        self._client = client

    def data_received(self, data: bytes) -> None:
        self._client.write(data)

    def pause_writing(self) -> None:
        self._client.pause_reading()

    def resume_writing(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._client.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._client.close()


def _ofuser(app: Any, name: str) -> Any:
    async def known(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, SYSTEM_USER: name}, receive, send)

    return known


def peer_user(transport: Transport) -> int | None:
    """Return the number of the user on the other end of a unix socket; None where the system does not provide it."""
    found = transport.get_extra_info("socket")
    if found is None or not hasattr(socket, "SO_PEERCRED"):
        return None
    raw = found.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return int(_CREDENTIALS.unpack(raw)[1])


def user_name(user: int | None) -> str:
    """Return the name of a user of this system, its number where it has none, or nothing where it is not known."""
    if user is None:
        return ""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def make_room(path: Path) -> None:
    """Make the folder of a socket and remove a socket that a crash left behind.

    Raises:
        OSError: something else is there, or a server listens there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.stat().st_mode):
            raise OSError(f"unix_socket {path} exists and is not a socket: remove it, or name another path")
        if is_served(path):
            raise OSError(f"another server listens at unix_socket {path}: stop it, or give this one a path of its own")
        path.unlink()
