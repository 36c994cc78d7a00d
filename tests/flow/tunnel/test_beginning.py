"""The first bytes of a tunnel: early payload, settings, clients that are too old."""

import asyncio

import pytest

from gateway.edge.http2 import frames
from gateway.noise import RemoteNoiseError
from tests.fakes.edge import serve_edge
from tests.flow.tunnel.opening import BOTH, connect, handshake

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


@pytest.mark.statement(26)
async def test_the_early_payload_offers_another_challenge_to_each_connection():
    async with serve_edge() as edge, await connect(edge) as one, await connect(edge) as two:
        await one.request("GET", "/echo")
        await two.request("GET", "/echo")
        assert one.challenge is not None
        assert two.challenge is not None
        assert one.challenge != two.challenge


@pytest.mark.statement(27)
async def test_without_an_early_payload_the_tunnel_works_as_well():
    async with serve_edge(send_early_payload=False) as edge, await connect(edge) as client:
        assert (await client.request("GET", "/echo", b"x"))[2] == b"x"
        assert client.challenge is None


@pytest.mark.statement(27, 28)
async def test_settings_come_with_the_response_before_the_client_says_a_byte():
    async with serve_edge(send_early_payload=False) as edge:
        stream, session, left = await handshake(edge)
        plain = session.reader.receive(left)
        async with asyncio.timeout(5):
            while len(plain) < 9:
                plain += session.reader.receive(await stream.read())

        assert plain[3:9] == bytes([frames.SETTINGS, 0, 0, 0, 0, 0])
        await stream.close()


@BOTH
@pytest.mark.statement(25)
async def test_a_client_too_old_is_told_so_and_any_newer_one_is_let_in(websocket):
    async with serve_edge() as edge:
        with pytest.raises(RemoteNoiseError) as refused:
            await connect(edge, version=112, websocket=websocket)
        assert "capability version 112" in refused.value.unverified_text
        for version in (113, 145, 65_535):
            async with await connect(edge, version=version, websocket=websocket) as client:
                assert (await client.request("GET", "/echo"))[0] == 200
