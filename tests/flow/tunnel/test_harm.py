"""Broken records and frames, silence and floods: each ends one connection, or makes way for others."""

import asyncio
import os
from datetime import timedelta

import pytest

from gateway.edge.http2 import frames
from gateway.noise import Initiator
from services.shared.config.processes import GatewayConfig
from services.shared.keys import PrivateKey
from tests.fakes.dialling import SocketStream, dial_upgrade
from tests.fakes.edge import serve_edge, until
from tests.flow.tunnel.opening import MACHINE, connect, handshake

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


async def read_to_end(stream: SocketStream) -> bytes:
    data = b""
    async with asyncio.timeout(5):
        while more := await stream.read():
            data += more
    return data


@pytest.mark.statement(24)
@pytest.mark.parametrize("bad", [b"\x04\x00\x20" + bytes(32), b"\x03\x00\x00", b"\x04\xff\xff", b"\x04\x00\x00"])
async def test_a_broken_record_ends_that_connection_only(bad):
    async with serve_edge() as edge, await connect(edge) as other:
        await other.start("/stream", b"x")
        client = await connect(edge)
        await client.request("GET", "/echo")
        await client.write_raw(bad)
        await asyncio.wait_for(client.closed.wait(), 5)

        assert (await other.request("GET", "/echo", b"fine"))[2] == b"fine"
        assert edge.handler.closed == 0
        await until(lambda: edge.tunnels.counts.tunnels == 1)
        await client.close()


async def test_broken_http2_gets_goaway_and_the_end():
    async with serve_edge() as edge, await connect(edge) as client:
        await client.start("/stream", b"x")
        await client.send_raw(frames.frame_header(3, frames.PING, 0, 0) + b"bad")
        await asyncio.wait_for(client.closed.wait(), 5)

        assert client.going_away.is_set()
        assert edge.handler.closed == 1
        assert edge.tunnels.counts.tunnels_failed == 1


async def test_a_replayed_initiation_proves_nothing_and_is_dropped_at_the_deadline():
    async with serve_edge(GatewayConfig(handshake_timeout=timedelta(seconds=0.2))) as edge:
        initiator = Initiator(MACHINE, edge.control_key, PrivateKey.clamp(os.urandom(32)), 113)
        streams = [await dial_upgrade(edge.url, initiator.initiation) for _ in range(2)]
        assert edge.tunnels.counts.half_open == 2
        for stream in streams:
            await read_to_end(stream)

        await until(lambda: edge.tunnels.counts.connections == 0)
        assert edge.handler.requests == []


async def test_a_silent_peer_is_asked_and_then_dropped_while_one_that_answers_stays():
    async with serve_edge(GatewayConfig(check_interval=timedelta(seconds=0.15))) as edge, await connect(edge) as alive:
        await alive.start("/stream", b"x")
        stream, session, _ = await handshake(edge, PrivateKey.clamp(b"\x33" * 32))
        head = bytes([0x83, 0x87, 0x44, 7]) + b"/stream"
        request = frames.PREFACE + frames.settings({}) + frames.frame_header(len(head), frames.HEADERS, 5, 1) + head
        await stream.write(session.sealer.seal(request))
        await until(lambda: len(edge.handler.streams) == 2)
        await until(lambda: edge.handler.closed == 1)

        assert edge.handler.streams[1].closed
        assert edge.tunnels.counts.peers_lost == 1
        assert (await alive.request("GET", "/echo", b"here"))[2] == b"here"


async def test_a_tunnel_that_nobody_uses_is_closed_and_one_in_use_is_not():
    async with (
        serve_edge(GatewayConfig(check_interval=timedelta(seconds=0.1), idle_timeout=timedelta(seconds=0.3))) as edge,
        await connect(edge) as used,
    ):
        await used.start("/stream", b"x")
        async with await connect(edge) as idle:
            await idle.request("GET", "/echo")
            await asyncio.wait_for(idle.closed.wait(), 5)
            assert idle.going_away.is_set()
        assert not used.closed.is_set()


async def test_connections_that_only_sit_there_give_way_to_real_clients():
    async with serve_edge(GatewayConfig(max_handshakes=20)) as edge:
        sitting = [await asyncio.open_connection("127.0.0.1", edge.port) for _ in range(100)]
        await until(lambda: edge.tunnels.counts.half_open_dropped == 80)
        async with await connect(edge) as client:
            assert (await client.request("GET", "/echo", b"in"))[2] == b"in"
            assert edge.tunnels.counts.half_open <= 20
        for _, writer in sitting:
            writer.close()


async def test_one_address_may_have_so_many_connections_and_no_more():
    async with serve_edge(GatewayConfig(max_connections_per_address=2)) as edge:
        async with await connect(edge), await connect(edge):
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await connect(edge)
        await until(lambda: edge.tunnels.counts.connections == 0)
        async with await connect(edge) as client:
            assert (await client.request("GET", "/echo"))[0] == 200
        assert edge.tunnels.counts.refused_address == 1


async def test_the_whole_process_has_a_bound_on_connections():
    async with serve_edge(GatewayConfig(max_connections=1)) as edge, await connect(edge):
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await connect(edge)
        assert edge.tunnels.counts.refused_full == 1
