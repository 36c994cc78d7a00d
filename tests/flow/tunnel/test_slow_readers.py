"""Clients that do not read cost a bounded number of bytes, and their streams know."""

import asyncio

import pytest

from tests.fakes.edge import serve_edge, until
from tests.fakes.noise_client import StreamResetError
from tests.flow.tunnel.opening import BOTH, connect

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


@BOTH
@pytest.mark.statement(34)
async def test_while_the_clients_window_is_shut_a_stream_is_paused_and_refuses(websocket):
    async with serve_edge() as edge, await connect(edge, websocket=websocket, initial_window=1000) as client:
        stream = await client.start("/stream")
        writer = edge.handler.streams[0]
        assert writer.send([b"a" * 700, b"b" * 700])
        await client.ping()

        assert writer.paused
        assert not writer.send([b"never"])
        assert edge.handler.resumed == 0
        assert await stream.read_exactly(1400) == b"a" * 700 + b"b" * 700
        await until(lambda: edge.handler.resumed == 1)
        assert not writer.paused
        assert writer.send([b"again"])
        assert await stream.read_exactly(5) == b"again"


async def test_a_client_that_stops_reading_its_socket_costs_no_more_than_the_high_water():
    async with serve_edge() as edge, await connect(edge, initial_window=64 << 20) as client:
        stream = await client.start("/stream")
        writer = edge.handler.streams[0]
        client._task.cancel()
        await asyncio.gather(client._task, return_exceptions=True)
        shared = bytes(1 << 20)
        assert writer.send([shared] * 24)
        [tunnel] = edge.tunnels._tunnels
        await until(lambda: tunnel.write_paused)

        assert tunnel._transport.get_write_buffer_size() <= 2 * edge.tunnels.settings.high_water + 20_000
        assert not writer.send([b"never"])

        client._left = b""
        client._task = asyncio.create_task(client._read_all())
        assert len(await stream.read_exactly(24 << 20)) == 24 << 20
        await until(lambda: edge.handler.resumed)
        assert writer.send([b"again"])
        assert await stream.read_exactly(5) == b"again"


async def test_an_aborted_stream_is_reset_and_its_owner_not_called():
    async with serve_edge() as edge, await connect(edge, initial_window=10) as client:
        stream = await client.start("/stream", b"x" * 100)
        edge.handler.streams[0].abort()

        with pytest.raises(StreamResetError):
            await stream.read_all()
        assert edge.handler.streams[0].closed
        assert edge.handler.closed == 0
