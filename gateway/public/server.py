"""The web server inside our process: takes its socket, start and stop from us; handles no signals and logs nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from gateway.process.certificates import ListenerCertificate
from gateway.process.listening import BACKLOG, listen
from services.shared.background import Background
from services.shared.net.tls import OnFailed, ignore, over_tls
from services.shared.telemetry.setup import Telemetry
from services.shared.uvicorn_parts import Config, Server

if TYPE_CHECKING:
    from starlette.types import ASGIApp

KEEP_ALIVE = 75
LAST_ANSWERS = 3
"""Seconds that answers under way get when the server stops."""
_TICK = 1.0


class _Server(Server):
    """uvicorn's server without signal handlers, and with an event for the moment that it listens."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self.failure: Exception | None = None
        self._ending = asyncio.Event()

    def end(self) -> None:
        """Stop listening."""
        self.should_exit = True
        self._ending.set()

    async def main_loop(self) -> None:
        """Update the date header each second. uvicorn's own loop wakes up ten times as often, to check for its end."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK):
                    await self._ending.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def run_on(self, sock: socket.socket) -> None:
        """Serve until `end`. What fails before the server listens is kept in `failure`."""
        try:
            await self.serve([sock])
        except Exception as error:
            if self.listening.is_set():
                raise
            self.failure = error
        finally:
            self.listening.set()


class WebServer:
    """Serves one application and the connections that the protocol class takes over; with a certificate over TLS."""

    def __init__(
        self,
        address: str,
        app: ASGIApp,
        protocol: type[asyncio.Protocol],
        certificate: ListenerCertificate | None = None,
        *,
        shared: bool = False,
        on_tls_failed: OnFailed = ignore,
        telemetry: Telemetry | None = None,
    ) -> None:
        """`shared`: other processes of this installation listen on the address too."""
        self._address = address
        self._app, self._protocol = app, protocol
        self._certificate = certificate
        self._shared = shared
        self._on_tls_failed = on_tls_failed
        self._server: _Server | None = None
        self._socket: socket.socket | None = None
        self._background = Background(telemetry or Telemetry())
        self._serving: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port, once started."""
        assert self._socket is not None
        return int(self._socket.getsockname()[1])

    async def start(self) -> None:
        """Start to listen. Returns when connections are accepted.

        Raises:
            OSError: the address is in use, or the certificate cannot be used.
        """
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        self._socket = listen(self._address, shared=self._shared)
        self._server = _Server(self._config())
        self._serving = self._background.run(self._server.run_on(self._socket), "web server")
        await self._server.listening.wait()
        if self._server.failure is not None:
            self._socket.close()
            raise self._server.failure

    def close(self) -> None:
        """Stop listening; requests under way are answered."""
        if self._server is not None:
            self._server.end()

    async def wait_closed(self) -> None:
        """Wait until the server has ended."""
        if self._serving is not None:
            await self._serving

    def _config(self) -> Config:
        application: Any = self._app
        protocol: Any = self._protocol
        if self._certificate is not None:
            given = self._certificate
            protocol = over_tls(protocol, given.context, self._on_tls_failed, given.challenge)
        return Config(
            application,
            http=protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=LAST_ANSWERS,
        )
