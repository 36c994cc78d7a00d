"""The edge behind TLS on real sockets: floods of half a handshake, slow readers, resets, and HTTP as before."""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import struct
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvloop

from services.shared.config.processes import GatewayConfig
from services.shared.keys import PrivateKey
from services.shared.net.tls import over_tls, server_context
from tests.fakes.certificates import any_certificate, issue
from tests.fakes.edge import Edge, serve_edge, until
from tests.fakes.noise_client import NoiseClient

MACHINE = PrivateKey.clamp(b"\x22" * 32)
RESET = struct.pack("ii", 1, 0)

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"])
def event_loop_policy(request):
    return request.param()


@pytest.fixture
def files(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    """The certificate and its key; in the end nothing may have been logged that is our fault."""
    issue("localhost", "127.0.0.1").write(tmp_path)
    yield {"certificate": tmp_path / "server.pem", "key": tmp_path / "server.key"}
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def hello() -> bytes:
    """A client's first flight."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        any_certificate().wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


async def real_client(edge: Edge) -> None:
    url = f"https://127.0.0.1:{edge.port}"
    client = await NoiseClient.connect(url, MACHINE, control_key=edge.control_key, tls=any_certificate())
    async with client:
        assert (await client.request("POST", "/echo", b"x" * 100_000))[2] == b"x" * 100_000


@pytest.mark.parametrize("part", [0, 1, 5, 60, None], ids=["nothing", "a byte", "a header", "half", "a whole hello"])
async def test_a_flood_of_half_open_handshakes_drops_its_own(files, part):
    start = hello()[:part]
    async with serve_edge(GatewayConfig(max_handshakes=10), **files) as edge:
        flood = [await asyncio.open_connection("127.0.0.1", edge.port) for _ in range(40)]
        for _, writer in flood:
            writer.write(start)
        await until(lambda: edge.tunnels.counts.half_open_dropped == 30)
        await real_client(edge)

        assert edge.tunnels.counts.half_open <= 10
        for _, writer in flood:
            writer.close()
        await until(lambda: edge.tunnels.counts.connections == 0)


async def test_a_handshake_has_until_the_deadline(files):
    async with serve_edge(GatewayConfig(handshake_timeout=timedelta(seconds=0.2)), **files) as edge:
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(hello()[:60])
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        await until(lambda: edge.tunnels.counts.connections == 0)
        assert edge.tunnels.counts.half_open_dropped == 1
        writer.close()


async def test_resets_at_any_moment_leave_nothing(files):
    async with serve_edge(**files) as edge:
        for part in (0, 60, None):
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            writer.write(hello()[:part])
            if part is None:
                await reader.read(1)
            reset(writer)
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port, ssl=any_certificate())
        writer.write(b"GET / HTTP/1.1\r\nHost: ctl\r\n")
        await writer.drain()
        reset(writer)
        await real_client(edge)
        await until(lambda: edge.tunnels.counts.connections == 0)
        assert edge.tunnels.counts.tls_failed == 0


def reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


async def test_what_is_no_tls_is_refused_and_counted(files):
    async with serve_edge(**files) as edge:
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: ctl\r\n\r\n")
        async with asyncio.timeout(5):
            answer = await reader.read()
        writer.close()

        assert answer.startswith(b"HTTP/1.1 400 ") and answer.endswith(b"this port speaks https, not http")
        await until(lambda: edge.tunnels.counts.connections == 0)
        assert edge.tunnels.counts.tls_failed == 1


async def test_http_goes_on_as_before_and_its_end_is_said(files):
    async with serve_edge(**files) as edge:
        reader, writer = await asyncio.open_connection("127.0.0.1", edge.port, ssl=any_certificate())
        async with asyncio.timeout(5):
            for path in (b"/one", b"/two"):
                writer.write(b"POST %b HTTP/1.1\r\nHost: ctl\r\nContent-Length: 5\r\n\r\nhello" % path)
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                assert await reader.readexactly(size) == b"application: %b hello" % path
            writer.write(b"GET /three HTTP/1.1\r\nHost: ctl\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).endswith(b"application: /three ")
        await until(lambda: edge.tunnels.counts.connections == 0)


class Pouring(asyncio.Protocol):
    """Sends so many megabytes to whoever says something, as fast as it is taken."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces, self.paused, self.pauses, self.most = pieces, False, 0, 0
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport
        self.transport.set_write_buffer_limits(high=64 << 10, low=16 << 10)

    def data_received(self, data: bytes) -> None:
        self.pour()

    def pour(self) -> None:
        while self.pieces and not self.paused:
            self.transport.write(self.pieces.pop())
            self.most = max(self.most, self.transport.get_write_buffer_size())
        if not self.pieces:
            self.transport.close()

    def pause_writing(self) -> None:
        self.paused, self.pauses = True, self.pauses + 1

    def resume_writing(self) -> None:
        self.paused = False
        self.pour()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


async def test_a_slow_reader_gets_all_of_it_and_costs_what_it_may(files):
    parts = [os.urandom(100_000) for _ in range(100)]
    protocol = Pouring(parts[::-1])
    loop = asyncio.get_running_loop()
    context = server_context(files["certificate"], files["key"])
    server = await loop.create_server(over_tls(lambda: protocol, context), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=any_certificate(), limit=1 << 14)
        writer.write(b"pour")
        await until(lambda: protocol.paused)
        stuck = len(protocol.pieces)
        async with asyncio.timeout(20):
            received = await reader.read(-1)
        writer.close()
        await until(lambda: protocol.lost)

    assert received == b"".join(parts)
    assert stuck > 0 and protocol.pauses > 1 and protocol.most < (64 << 10) + 110_000
