"""The running relay: its listeners, connections handed over by the gateway, its STUN socket, and one timer for all."""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from dataclasses import dataclass, field

from services.derp import http
from services.derp.client_admission import RelayAdmission
from services.derp.connection import Limits, Refusals, Shell
from services.derp.datagram import StunSocket
from services.derp.listener import Listener, admit_connection
from services.derp.lobby import Lobby
from services.derp.relay import KEEP_ALIVE_SECONDS, Relay
from services.derp.session import RelayKeys
from services.shared.background import Background
from services.shared.runtime.clock import Clock
from services.shared.telemetry import Telemetry

_RECONNECT_SPREAD_MS = 2_000
_RECONNECT_TRY_MS = 30_000
_FLUSH_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """Host name, listen addresses and limits of a relay. An empty address disables that listener."""

    hostname: str
    tls_address: str = ""
    http_address: str = ""
    stun_address: str = ""
    addresses: tuple[str, ...] = ()
    keep_alive_seconds: float = KEEP_ALIVE_SECONDS
    limits: Limits = field(default_factory=Limits)


class DerpServer:
    """A relay with its sockets."""

    def __init__(
        self,
        settings: ServerSettings,
        identity: RelayKeys,
        admission: RelayAdmission,
        clock: Clock,
        tls: ssl.SSLContext | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        """`tls` is needed when `tls_address` is given."""
        self.identity = identity
        self.relay = Relay(random=random.random, keep_alive=settings.keep_alive_seconds)
        self._settings = settings
        self._clock = clock
        self._tls = tls
        telemetry = telemetry or Telemetry()
        self._shell = Shell(
            relay=self.relay,
            identity=identity,
            host=http.Host(identity.public, settings.hostname, settings.addresses),
            admission=admission,
            clock=clock,
            limits=settings.limits,
            lobby=Lobby(settings.limits.lobby, settings.limits.handshake_seconds),
            telemetry=telemetry,
        )
        self._tls_listener: Listener | None = None
        self._http_listener: Listener | None = None
        self.stun: StunSocket | None = None
        self._background = Background(telemetry)

    @property
    def tls_port(self) -> int:
        """Return the bound port of the TLS listener; 0 if it is disabled."""
        return self._tls_listener.port if self._tls_listener else 0

    @property
    def http_port(self) -> int:
        """Return the bound port of the plain listener; 0 if it is disabled."""
        return self._http_listener.port if self._http_listener else 0

    @property
    def stun_port(self) -> int:
        """Return the bound STUN port; 0 if it is disabled."""
        return self.stun.port if self.stun else 0

    @property
    def refusals(self) -> Refusals:
        """Return the counters of refused and closed connections."""
        return self._shell.refusals

    @property
    def connections(self) -> int:
        """Return the number of open sockets, logged in or not."""
        return len(self._shell.connections)

    @property
    def waiting(self) -> int:
        """Return the number of connections that have not logged in."""
        return len(self._shell.lobby)

    async def start(self) -> None:
        """Bind all sockets and start serving.

        Raises:
            OSError: an address cannot be bound; nothing is left open.
        """
        try:
            if self._settings.tls_address:
                self._tls_listener = Listener(self._shell, self._settings.tls_address, self._tls)
            if self._settings.http_address:
                self._http_listener = Listener(self._shell, self._settings.http_address, None)
            if self._settings.stun_address:
                self.stun = StunSocket(self._settings.stun_address)
        except OSError:
            await self.stop()
            raise
        for listener in self._listeners():
            listener.start()
        if self.stun is not None:
            self.stun.start()
        self._background.keep(self._tick_all, "relay timer")

    def adopt(self, transport: asyncio.Transport, address: tuple[str, int], data: bytes) -> bool:
        """Take over a connection that another listener accepted, with the bytes read so far. False at the limit.

        The connection becomes the transport's protocol, so that it learns when the socket is closed.
        """
        connection = admit_connection(self._shell, address)
        if connection is None:
            return False
        transport.set_protocol(connection)
        connection.connection_made(transport)
        connection.data_received(data)
        return True

    async def stop(self) -> None:
        """Ask clients to reconnect at random moments, then close all connections and listeners."""
        self._shell.stopping = True
        for listener in self._listeners():
            await listener.stop()
        await self._background.stop()
        self.relay.announce_restart(_RECONNECT_SPREAD_MS, _RECONNECT_TRY_MS)
        for connection in list(self._shell.connections):
            connection.finish()
        if self._shell.connections:
            self._shell.emptied.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_FLUSH_SECONDS):
                    await self._shell.emptied.wait()
        for connection in list(self._shell.connections):
            connection.close("the relay stops")
        await self._shell.background.stop()
        if self.stun is not None:
            self.stun.stop()
            self.stun = None

    def tick(self) -> None:
        """Send keep-alives; close connections whose login takes too long or whose peer does not read."""
        shell, now = self._shell, self._clock.monotonic()
        self.relay.tick(now)
        for late in shell.lobby.expired(now):
            shell.refusals.too_slow += 1
            late.close("login timed out")
        for connection, (before, since) in list(shell.stalled.items()):
            reached = connection.progress()
            if reached != before:
                shell.stalled[connection] = (reached, now)
                continue
            limit = shell.limits.mesh_stall_seconds if connection.is_mesh else shell.limits.stall_seconds
            if now - since >= limit:
                shell.refusals.stalled += 1
                connection.close("peer did not read")

    async def _tick_all(self) -> None:
        while True:
            await asyncio.sleep(self._settings.limits.tick_seconds)
            self.tick()

    def _listeners(self) -> list[Listener]:
        return [listener for listener in (self._tls_listener, self._http_listener) if listener is not None]
