"""`/metrics` over HTTP for Prometheus, and `/health` beside it: a server too small to need a framework."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

_HEAD_LIMIT = 8192
_HEAD_TIMEOUT = 5.0
_MAX_CONNECTIONS = 64


class MetricsServer:
    """Answers GET and HEAD; closes after each answer; holds at most a few connections."""

    def __init__(self, registry: CollectorRegistry, ready: Callable[[], bool] = lambda: True) -> None:
        self._registry = registry
        self._ready = ready
        self._server: asyncio.Server | None = None
        self._open = 0

    async def start(self, address: str) -> int:
        """Listen on `host:port`; gives the port.

        Raises:
            OSError: the address cannot be listened on.
        """
        host, _, port = address.rpartition(":")
        self._server = await asyncio.start_server(self._serve, host.strip("[]") or None, int(port), limit=_HEAD_LIMIT)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open > _MAX_CONNECTIONS:
                return
            async with asyncio.timeout(_HEAD_TIMEOUT):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head))
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            log.debug("metrics request dropped")
        finally:
            self._open -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if method not in (b"GET", b"HEAD"):
            return _response("405 Method Not Allowed", b"only GET\n", method)
        if path == b"/metrics":
            return _response("200 OK", generate_latest(self._registry), method, CONTENT_TYPE_PLAIN_0_0_4)
        if path == b"/health":
            if self._ready():
                return _response("200 OK", b"ok\n", method)
            return _response("503 Service Unavailable", b"not ready\n", method)
        return _response("404 Not Found", b"see /metrics\n", method)


def _response(status: str, body: bytes, method: bytes, kind: str = "text/plain; charset=utf-8") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + (b"" if method == b"HEAD" else body)
