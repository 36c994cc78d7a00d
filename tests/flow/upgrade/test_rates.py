"""Machines and addresses that come too often are told so, and others come in."""

import asyncio
import base64
from urllib.parse import quote

import pytest
import websockets.asyncio.client
import websockets.exceptions

from gateway.noise import error_frame
from services.shared.config.processes import GatewayConfig
from services.shared.keys import PrivateKey
from tests.fakes.edge import serve_edge
from tests.fakes.noise_client import NoiseClient
from tests.flow.upgrade.wire import MACHINE, answer_to, initiator, status_of, upgrade

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


async def test_a_machine_that_reconnects_without_end_gets_429_and_others_come_in():
    async with serve_edge(GatewayConfig(reconnects_per_second=0.1)) as edge:
        client = await NoiseClient.connect(edge.url, MACHINE, 130, control_key=edge.control_key)
        refused = await answer_to(edge, upgrade(initiator(edge).initiation))
        head, _, body = refused.partition(b"\r\n\r\n")
        other = await NoiseClient.connect(edge.url, PrivateKey.clamp(b"\x23" * 32), 130, control_key=edge.control_key)
        counts = edge.tunnels.counts
        assert (counts.refused_machine_rate, counts.handshakes, counts.tunnels) == (1, 2, 2)
        await client.close()
        await other.close()
    assert status_of(refused) == 429
    assert b"retry-after: 5" in head and b"try again in 5 s" in body


async def test_an_address_beyond_its_rate_gets_429_before_the_handshake_is_looked_at():
    async with serve_edge(GatewayConfig(handshakes_per_second=0.1)) as edge:
        first = await answer_to(edge, upgrade(b"\0" * 101))
        second = await answer_to(edge, upgrade(initiator(edge).initiation))
        counts = edge.tunnels.counts
        assert (counts.refused_address_rate, counts.handshakes_refused, counts.handshakes) == (1, 1, 0)
    assert status_of(first) == 101
    assert status_of(second) == 429 and b"retry-after: 10" in second


async def test_over_a_websocket_a_machine_that_reconnects_without_end_gets_an_error_frame():
    async with serve_edge(GatewayConfig(reconnects_per_second=0.1)) as edge:
        client = await NoiseClient.connect(edge.url, MACHINE, 130, control_key=edge.control_key)
        query = quote(base64.b64encode(initiator(edge).initiation).decode(), safe="")
        url = f"ws://127.0.0.1:{edge.port}/ts2021?X-Tailscale-Handshake={query}"
        async with websockets.asyncio.client.connect(url, subprotocols=["tailscale-control-protocol"]) as socket:
            text = b"too many connections of this machine, try again in 5 s"
            assert await socket.recv() == error_frame(text.decode())
        await client.close()


async def test_replayed_handshakes_charge_nothing_to_the_machine_whose_handshakes_they_are():
    async with serve_edge(GatewayConfig(reconnects_per_second=0.1)) as edge:
        captured = upgrade(initiator(edge).initiation)
        replays = [await asyncio.open_connection("127.0.0.1", edge.port) for _ in range(20)]
        for reader, writer in replays:
            writer.write(captured)
            assert status_of(await reader.readuntil(b"\r\n\r\n")) == 101
        client = await NoiseClient.connect(edge.url, MACHINE, 130, control_key=edge.control_key)
        status, _, _ = await client.request("GET", "/echo", b"in")
        assert (status, edge.tunnels.counts.refused_machine_rate) == (200, 0)
        await client.close()
        for _, writer in replays:
            writer.close()
