"""A listener on loopback with a handler of the test's, over the real sockets of uvicorn."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import uvicorn

from gateway.edge.listener import listener_class
from gateway.edge.tunnels import Tunnels
from gateway.exchange import Responder, StreamWriter, TunnelRequest
from services.shared.config.processes import GatewayConfig
from services.shared.keys import PrivateKey
from services.shared.net.tls import over_tls, server_context

CONTROL = PrivateKey.clamp(b"\x11" * 32)


class TableHandler:
    """Answers by path from a table; remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[TunnelRequest] = []
        self.streams: list[StreamWriter] = []
        self.held: list[Responder] = []
        self.closed = 0
        self.resumed = 0
        self.routes: dict[str, Callable[[TunnelRequest, Responder], None]] = {
            "/echo": lambda request, responder: responder.respond(200, request.body),
            "/stream": self._stream,
            "/hold": self._hold,
            "/raise": self._raise,
            "/late": self._raise_late,
        }

    def handle(self, request: TunnelRequest, responder: Responder) -> None:
        """What the edge calls."""
        self.requests.append(request)
        route = self.routes.get(request.path)
        if route is None:
            responder.respond(404, b"unknown path", "text/plain")
        else:
            route(request, responder)

    def _stream(self, request: TunnelRequest, responder: Responder) -> None:
        writer = responder.start_stream(200)
        self.streams.append(writer)
        writer.on_closed(self._count_closed)
        writer.on_resume(self._count_resumed)
        if request.body:
            writer.send([request.body])

    def _hold(self, request: TunnelRequest, responder: Responder) -> None:
        self.held.append(responder)
        responder.on_closed(self._count_closed)

    def _raise(self, request: TunnelRequest, responder: Responder) -> None:
        raise LookupError("a fault of the handler")

    def _raise_late(self, request: TunnelRequest, responder: Responder) -> None:
        responder.start_stream(200).send([b"begun"])
        raise LookupError("a fault of the handler")

    def _count_closed(self) -> None:
        self.closed += 1

    def _count_resumed(self) -> None:
        self.resumed += 1


class Edge:
    """What a test holds while the server runs."""

    def __init__(self, tunnels: Tunnels, handler: TableHandler, port: int) -> None:
        self.tunnels, self.handler, self.port = tunnels, handler, port
        self.url = f"http://127.0.0.1:{port}"
        self.control_key = tunnels.control_key


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Stands for the ASGI application behind the listener."""
    message = await receive()
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
        return
    body = b"application: " + scope["path"].encode() + b" " + message.get("body", b"")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serve_edge(
    config: GatewayConfig | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    **options: Any,
) -> AsyncIterator[Edge]:
    """Run it on a port of the system's choice, with TLS when there is a certificate."""
    handler = TableHandler()
    tunnels = Tunnels(CONTROL, handler, config, **options)
    listener: Any = listener_class(tunnels)
    if certificate is not None:
        listener = over_tls(listener, server_context(certificate, key), tunnels.tls_failed)
    server_config = uvicorn.Config(application, http=listener, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(server_config)
    server.capture_signals = nullcontext  # type: ignore[assignment,method-assign]
    listening = socket.create_server(("127.0.0.1", 0), backlog=1000)
    task = asyncio.create_task(server.serve([listening]))
    await until(lambda: server.started)
    try:
        yield Edge(tunnels, handler, listening.getsockname()[1])
    finally:
        await tunnels.close(0)
        server.should_exit = True
        await task
        listening.close()


async def until(condition: Callable[[], object], deadline: float = 5.0) -> None:
    """Wait for a condition of this process, never for a time."""
    async with asyncio.timeout(deadline):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)
