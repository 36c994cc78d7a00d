"""A server that ends lets its clients go one after the other, and takes nobody in."""

import asyncio

import pytest

from tests.fakes.edge import serve_edge, until
from tests.fakes.noise_client import StreamResetError
from tests.flow.tunnel.opening import connect

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


async def test_clients_go_one_after_the_other_and_are_served_until_their_turn():
    async with serve_edge() as edge, await connect(edge) as one, await connect(edge) as other:
        streams = {client: await client.start("/stream", b"x") for client in (one, other)}
        closing = asyncio.create_task(edge.tunnels.close(3600.0))
        await until(lambda: one.going_away.is_set() or other.going_away.is_set())
        first, second = (one, other) if one.going_away.is_set() else (other, one)
        assert await streams[first].read_all() == b"x"
        await asyncio.wait_for(first.closed.wait(), 5)
        assert (await second.request("POST", "/echo", b"still here"))[2] == b"still here"
        assert not second.going_away.is_set()
        closing.cancel()


async def test_a_client_that_leaves_by_itself_meanwhile_is_no_trouble():
    async with serve_edge() as edge, await connect(edge) as one, await connect(edge) as other:
        for client in (one, other):
            await client.start("/stream", b"x")
        closing = asyncio.create_task(edge.tunnels.close(5.0))
        await until(lambda: one.going_away.is_set() or other.going_away.is_set())
        second = other if one.going_away.is_set() else one
        await second.close()
        await asyncio.wait_for(closing, 20)
        assert edge.tunnels.counts.tunnels == 0


async def test_going_away_ends_streams_and_closes_and_takes_no_more_requests():
    async with serve_edge() as edge, await connect(edge) as client:
        stream = await client.start("/stream", b"x")
        asking = asyncio.create_task(client.request("POST", "/hold"))
        await until(lambda: edge.handler.held)
        await edge.tunnels.close(0.05)

        assert await stream.read_all() == b"x"
        with pytest.raises(StreamResetError):
            await asking
        assert edge.handler.closed == 2
        await asyncio.wait_for(client.closed.wait(), 5)
        assert client.going_away.is_set()


async def test_a_tunnel_opened_while_the_server_ends_is_told_to_go():
    async with serve_edge() as edge:
        edge.tunnels.closing = True
        async with await connect(edge) as client:
            await asyncio.wait_for(client.closed.wait(), 5)
            assert client.going_away.is_set()
