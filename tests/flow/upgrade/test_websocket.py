"""The same tunnel over a WebSocket, as clients in browsers open it."""

import asyncio
import base64
from urllib.parse import quote

import pytest
import websockets.asyncio.client
import websockets.exceptions

from gateway.noise import error_frame
from tests.fakes.dialling import WebSocketStream, read_frame
from tests.fakes.edge import Edge, serve_edge, until
from tests.fakes.noise_client import NoiseClient
from tests.flow.upgrade.wire import answer_to, initiator, query, status_of

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


async def dial(edge: Edge, handshake: str, **options) -> websockets.asyncio.client.ClientConnection:
    options = {"subprotocols": [websockets.Subprotocol("tailscale-control-protocol")], **options}
    url = f"ws://127.0.0.1:{edge.port}/ts2021{handshake}"
    return await websockets.asyncio.client.connect(url, proxy=None, **options)


@pytest.mark.statement(11)
async def test_the_websocket_has_the_subprotocol_and_no_compression():
    async with serve_edge() as edge:
        socket = await dial(edge, query(initiator(edge).initiation), compression="deflate")

        assert socket.subprotocol == "tailscale-control-protocol"
        assert socket.response is not None
        assert "Sec-WebSocket-Extensions" not in socket.response.headers
        await socket.close()


@pytest.mark.statement(12)
@pytest.mark.parametrize("escape", [True, False])
async def test_the_query_is_percent_decoded_and_a_bare_plus_stays_one(escape):
    async with serve_edge() as edge:
        client = initiator(edge)
        while not {"+", "/", "="} <= set(base64.b64encode(client.initiation).decode()):
            client = initiator(edge)
        text = base64.b64encode(client.initiation).decode()
        socket = await dial(edge, "?a=b&X-Tailscale-Handshake=" + (quote(text, safe="") if escape else text))

        response, _ = await read_frame(WebSocketStream(socket))
        client.finish(response)
        await socket.close()


@pytest.mark.statement(13)
@pytest.mark.parametrize("piece", [1, 7, 100_000])
async def test_where_a_message_ends_means_nothing(piece):
    async with serve_edge() as edge:
        client = initiator(edge)
        stream = WebSocketStream(await dial(edge, query(client.initiation), compression=None), piece)
        response, left = await read_frame(stream)
        async with NoiseClient(stream, client.finish(response), left, 4 << 20) as noise:
            assert (await noise.request("POST", "/echo", b"pieces" * 100))[2] == b"pieces" * 100


async def test_no_message_is_longer_than_32_kib():
    async with serve_edge() as edge:
        client = initiator(edge)
        stream = WebSocketStream(await dial(edge, query(client.initiation), max_size=32 << 10))
        response, left = await read_frame(stream)
        async with NoiseClient(stream, client.finish(response), left, 4 << 20) as noise:
            answer = await noise.start("/stream")
            edge.handler.streams[0].send([bytes(1 << 20)])
            assert await answer.read_exactly(1 << 20) == bytes(1 << 20)


async def close_code(socket: websockets.asyncio.client.ClientConnection) -> int | None:
    async with asyncio.timeout(5):
        with pytest.raises(websockets.exceptions.ConnectionClosed):
            while True:
                await socket.recv()
    return socket.close_code


@pytest.mark.statement(11)
@pytest.mark.parametrize("subprotocols", [None, [websockets.Subprotocol("other")]])
async def test_without_the_subprotocol_the_websocket_is_closed_with_1008(subprotocols):
    async with serve_edge() as edge:
        socket = await dial(edge, query(initiator(edge).initiation), subprotocols=subprotocols)

        assert await close_code(socket) == 1008
        assert edge.tunnels.counts.handshakes == 0


@pytest.mark.statement(11)
async def test_a_text_message_closes_the_websocket_with_1003():
    async with serve_edge() as edge:
        socket = await dial(edge, query(initiator(edge).initiation))
        await socket.send("text")

        assert await close_code(socket) == 1003
        await until(lambda: edge.tunnels.counts.tunnels == 0)


@pytest.mark.statement(9)
@pytest.mark.parametrize("handshake", ["", "?X-Tailscale-Handshake=", "?X-Tailscale-Handshake=%%%", "?v=1"])
async def test_a_websocket_without_a_handshake_gets_400(handshake):
    async with serve_edge() as edge:
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            await dial(edge, handshake)
        assert refused.value.response.status_code == 400


@pytest.mark.statement(17)
async def test_a_malformed_initiation_gets_its_error_frame_in_a_message():
    async with serve_edge() as edge:
        socket = await dial(edge, query(bytes(100)))

        assert await socket.recv() == error_frame("wrong handshake initiation size")
        assert await close_code(socket) == 1000
        await until(lambda: edge.tunnels.counts.connections == 0)


async def test_a_broken_websocket_frame_ends_the_tunnel_with_1002():
    async with serve_edge() as edge:
        socket = await dial(edge, query(initiator(edge).initiation))
        socket.transport.write(b"\xff\xff\xff\xff")

        assert await close_code(socket) == 1002
        await until(lambda: edge.tunnels.counts.tunnels == 0)


async def test_a_broken_websocket_handshake_gets_400():
    async with serve_edge() as edge:
        head = (
            f"GET /ts2021{query(bytes(101))} HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        assert status_of(await answer_to(edge, head.encode())) == 400


async def test_a_websocket_ping_is_answered():
    async with serve_edge() as edge:
        socket = await dial(edge, query(initiator(edge).initiation))
        async with asyncio.timeout(5):
            await (await socket.ping())
        await socket.close()
        await until(lambda: edge.tunnels.counts.connections == 0)
