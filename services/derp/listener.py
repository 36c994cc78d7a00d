"""Listening sockets: binding of addresses, and acceptance of connections within the limits. Parses no bytes."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl

from services.derp.connection import Connection, Shell
from services.shared.background import Background
from services.shared.telemetry import get_logger

log = get_logger(__name__)

_BACKLOG = 4096
_BATCH = 64
_USER_TIMEOUT_MS = 15_000
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_EXHAUSTED_PAUSE = 0.1


def bind(address: str, kind: socket.SocketKind) -> socket.socket:
    """Bind "host:port". No host, or "[::]", means both families, or IPv4 alone where IPv6 is missing.

    Raises:
        OSError: the address cannot be bound.
        ValueError: `address` is malformed.
    """
    host, port = split_address(address)
    if host in ("", "::"):
        try:
            return _bound(socket.AF_INET6, kind, "::", port, both=True)
        except OSError as error:
            if host or error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                raise
            host = "0.0.0.0"  # noqa: S104  (what the configuration asks for)
    family, _, _, _, resolved = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)[0]
    return _bound(family, kind, str(resolved[0]), port, both=False)


def split_address(address: str) -> tuple[str, int]:
    """Split "host:port", "[v6]:port" or ":port" into host and port.

    Raises:
        ValueError: `address` has another form.
    """
    host, colon, port = address.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(f"{address!r} is no address: want host:port")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"{address!r} is no address: an IPv6 host stands in brackets")
    return host, int(port)


def _bound(family: int, kind: socket.SocketKind, host: str, port: int, *, both: bool) -> socket.socket:
    bound = socket.socket(family, kind)
    try:
        bound.setblocking(False)
        if kind == socket.SOCK_STREAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if both else 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def admit_connection(shell: Shell, address: tuple[str, int]) -> Connection | None:
    """Return a new connection before its login, or None at the limit. May evict the oldest one before login."""
    if len(shell.connections) >= shell.limits.connections:
        shell.refusals.full += 1
        return None
    connection = Connection(shell, address)
    shell.connections.add(connection)
    crowded = shell.lobby.enter(connection, shell.clock.monotonic())
    if crowded is not None:
        shell.refusals.crowded_out += 1
        crowded.close("too many connections before login")
    return connection


class Listener:
    """A listening socket for relay connections, with or without TLS."""

    def __init__(self, shell: Shell, address: str, tls: ssl.SSLContext | None) -> None:
        """Bind at once, so that a taken port is an error of the start."""
        self._shell = shell
        self._tls = tls
        self._socket = bind(address, socket.SOCK_STREAM)
        self._socket.listen(_BACKLOG)
        self.port: int = self._socket.getsockname()[1]
        self._background = Background(shell.telemetry)

    def start(self) -> None:
        """Start accepting connections."""
        self._background.keep(self._accept_all, "relay listener")

    async def stop(self) -> None:
        """Stop accepting; accepted connections stay open."""
        await self._background.stop()
        self._socket.close()

    async def _accept_all(self) -> None:
        loop = asyncio.get_running_loop()
        taken = 0
        while True:
            try:
                accepted, address = await loop.sock_accept(self._socket)
            except OSError as error:
                # Ignore a connection that was reset before accept; without free descriptors, wait and retry.
                if error.errno in _EXHAUSTED:
                    log.warning("accept failed", reason=error.strerror)
                    await asyncio.sleep(_EXHAUSTED_PAUSE)
                continue
            self._take(accepted, (address[0].removeprefix("::ffff:"), address[1]))
            taken += 1
            if taken % _BATCH == 0:
                await asyncio.sleep(0)

    def _take(self, accepted: socket.socket, address: tuple[str, int]) -> None:
        connection = admit_connection(self._shell, address)
        if connection is None:
            accepted.close()
            return
        connection.handshake = self._shell.background.run(self._handshake(connection, accepted), "relay handshake")

    async def _handshake(self, connection: Connection, accepted: socket.socket) -> None:
        timeout = self._shell.limits.handshake_seconds if self._tls is not None else None
        try:
            accepted.setblocking(False)
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection, accepted, ssl=self._tls, ssl_handshake_timeout=timeout
            )
        except (OSError, TimeoutError):
            if self._tls is not None:
                self._shell.refusals.tls += 1
            self._drop(connection, accepted)
        except asyncio.CancelledError:
            self._drop(connection, accepted)
            raise
        finally:
            connection.handshake = None

    def _drop(self, connection: Connection, accepted: socket.socket) -> None:
        connection.gone()
        accepted.close()
