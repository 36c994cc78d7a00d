"""Connections that a gateway passes on to the relay: bounded in number and in bytes, and closed together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import pytest
import uvloop

from gateway.edge.relay_forward import RelayForwarder
from services.shared.background import Background
from services.shared.telemetry import Telemetry
from tests.fakes.edge import until

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")
HELLO = b"GET /derp HTTP/1.1\r\n\r\n"


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    made: asyncio.AbstractEventLoopPolicy = request.param()
    return made


@dataclass
class Relay:
    """What stands for the relay: it keeps its connections, and what came over them."""

    streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)


@dataclass
class Front:
    """A listener that gives each connection to a forwarder."""

    port: int
    forwarder: RelayForwarder
    relay: Relay
    refused: list[asyncio.Transport] = field(default_factory=list)


@asynccontextmanager
async def front_in(limit: int = 10) -> AsyncIterator[Front]:
    relay = Relay()
    server = await asyncio.start_server(lambda *stream: relay.streams.append(stream), "127.0.0.1", 0)
    forwarder = RelayForwarder(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", limit, Background(Telemetry()))
    front = Front(0, forwarder, relay)

    class Accept(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            taken = cast(asyncio.Transport, transport)
            if not forwarder.adopt(taken, ("127.0.0.1", 1), HELLO):
                front.refused.append(taken)
                taken.abort()

    listener = await asyncio.get_running_loop().create_server(Accept, "127.0.0.1", 0)
    front.port = listener.sockets[0].getsockname()[1]
    try:
        yield front
    finally:
        await forwarder.stop()
        for one in (listener, server):
            one.close()
        for _, writer in relay.streams:
            writer.close()


async def test_bytes_go_both_ways_and_what_was_read_before_comes_first() -> None:
    async with front_in() as front:
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        writer.write(b"more")
        await until(lambda: bool(front.relay.streams))
        relay_reader, relay_writer = front.relay.streams[0]
        assert await relay_reader.readexactly(len(HELLO) + 4) == HELLO + b"more"
        relay_writer.write(b"answer")
        assert await reader.readexactly(6) == b"answer"
        writer.close()
        assert await relay_reader.read() == b""
        await until(lambda: len(front.forwarder) == 0)


async def test_the_end_of_the_relays_side_reaches_the_client_behind_its_last_bytes() -> None:
    async with front_in() as front:
        reader, writer = await asyncio.open_connection("127.0.0.1", front.port)
        await until(lambda: bool(front.relay.streams))
        front.relay.streams[0][1].write(bytes(200_000))
        front.relay.streams[0][1].close()
        assert len(await reader.read()) == 200_000
        writer.close()
        await until(lambda: len(front.forwarder) == 0)


async def test_a_client_that_does_not_read_stops_the_relays_side() -> None:
    async with front_in() as front:
        _, writer = await asyncio.open_connection("127.0.0.1", front.port, limit=1)
        await until(lambda: bool(front.relay.streams))
        relay_writer = front.relay.streams[0][1]
        relay_writer.write(bytes(64 << 20))
        sizes = [0, -1]

        def stands_still() -> bool:
            sizes.append(relay_writer.transport.get_write_buffer_size())
            return len(sizes) > 40 and len(set(sizes[-20:])) == 1

        await until(stands_still)
        assert sizes[-1] > 32 << 20  # the rest is in buffers of the kernel, and in one of the gateway
        writer.transport.abort()
        await until(lambda: len(front.forwarder) == 0)


async def test_more_than_the_limit_are_not_taken_over() -> None:
    async with front_in(limit=1) as front:
        first = await asyncio.open_connection("127.0.0.1", front.port)
        await until(lambda: bool(front.relay.streams))
        second = await asyncio.open_connection("127.0.0.1", front.port)
        await until(lambda: bool(front.refused))
        assert len(front.forwarder) == 1
        for _, writer in (first, second):
            writer.close()
