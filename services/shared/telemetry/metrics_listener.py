"""The listener of metrics and debug pages: uvicorn's HTTP/1.1 protocol on a socket, within bounds. Knows no path.

uvicorn's own server is not used: it wakes up ten times a second and wants the signals of the process.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

import httptools

from services.shared.telemetry.exposition import PAGE_DEADLINE, Exposition
from services.shared.telemetry.logs import get_logger
from services.shared.uvicorn_parts import Config, HttpToolsProtocol, ServerState

log = get_logger(__name__)

_HEAD_LIMIT = 8192
_HEAD_DEADLINE = 5.0
_ANSWER_DEADLINE = PAGE_DEADLINE + 30.0
"""Seconds until an answer must have been made and read."""
_MAX_CONNECTIONS = 64


class MetricsListener:
    """HTTP listener of one application on `host:port`: one request per connection, few connections at once."""

    def __init__(self, application: Exposition) -> None:
        self._config = Config(
            cast(Any, application),
            http=HttpToolsProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
        )
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    async def start(self, address: str) -> int:
        """Listen on `host:port`, and return the port.

        Raises:
            OSError: the address cannot be bound.
        """
        host, _, port = address.rpartition(":")
        self._config.load()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, host.strip("[]") or None, int(port))
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening, and end all connections."""
        if self._server is None:
            return
        self._server.close()
        for connection in list(self._state.connections):
            cast(_Connection, connection).drop()
        for task in list(self._state.tasks):
            task.cancel()
        await asyncio.gather(*self._state.tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self) -> asyncio.Protocol:
        return _Connection(config=self._config, server_state=self._state, app_state={})


class _Connection(HttpToolsProtocol):
    """One connection, dropped when its head is long or late, or when its answer is not read."""

    _deadline: asyncio.TimerHandle | None = None
    _received = 0
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline = self.loop.call_later(_HEAD_DEADLINE, self.drop)
        if len(self.connections) > _MAX_CONNECTIONS:
            self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.parser is None or self.transport.is_closing():
            return
        self._received += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return  # nothing is upgraded here: the request is answered as it is
        except httptools.HttpParserError:
            self.send_400_response("invalid http request\n")
            return
        if self._in_head and self._received > _HEAD_LIMIT:
            self.drop()

    def on_headers_complete(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(_ANSWER_DEADLINE, self.drop)
        if not self._in_head:
            return  # a request behind another one is never answered
        self._in_head = False
        super().on_headers_complete()

    def drop(self) -> None:
        """End the connection now."""
        log.debug("metrics request dropped")
        self.transport.abort()
