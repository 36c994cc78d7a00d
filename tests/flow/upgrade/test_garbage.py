"""Garbage at every layer of the edge: it costs its own connection, and never an exception in the log."""

import asyncio
import base64
import contextlib
import os
import random
from urllib.parse import quote

import pytest

from gateway.edge.http2 import frames
from gateway.noise import Initiator
from services.shared.config.processes import GatewayConfig
from services.shared.keys import PrivateKey
from tests.fakes.edge import Edge, serve_edge, until
from tests.fakes.noise_client import NoiseClient

MACHINE = PrivateKey.clamp(b"\x22" * 32)

TIRELESS = GatewayConfig(reconnects_per_second=0)
"""One machine comes as often as it likes: what is counted here is garbage."""

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


@pytest.fixture(params=[1, 2])
def dice(request) -> random.Random:
    return random.Random(request.param)


def altered(dice: random.Random, data: bytes) -> bytes:
    """One to four bytes changed, lost or added."""
    out = bytearray(data)
    for _ in range(dice.randint(1, 4)):
        index = dice.randrange(len(out))
        match dice.randrange(3):
            case 0:
                out[index] = dice.randrange(256)
            case 1:
                del out[index : index + dice.randint(1, 20)]
                out += b"."
            case _:
                out[index:index] = dice.randbytes(dice.randint(1, 20))
    return bytes(out)


def initiation(edge: Edge) -> bytes:
    return Initiator(MACHINE, edge.control_key, PrivateKey.clamp(os.urandom(32)), 113).initiation


async def throw(edge: Edge, data: bytes) -> None:
    """Say it, say no more, and wait for the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    with contextlib.suppress(ConnectionError):
        writer.write(data)
        writer.write_eof()
        async with asyncio.timeout(5):
            await reader.read()
    writer.close()


async def nothing_broke(edge: Edge, caplog: pytest.LogCaptureFixture, faults: list[dict[str, object]]) -> None:
    await until(lambda: edge.tunnels.counts.connections == 0)
    async with await NoiseClient.connect(edge.url, MACHINE, control_key=edge.control_key) as client:
        assert (await client.request("POST", "/echo", b"fine"))[2] == b"fine"
    assert [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []
    assert [record for record in caplog.records if record.exc_info] == []
    assert faults == []


def watch() -> list[dict[str, object]]:
    faults: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: faults.append(context))
    return faults


async def test_altered_upgrades(dice, caplog):
    faults = watch()
    async with serve_edge(TIRELESS) as edge:
        for _ in range(300):
            handshake = base64.b64encode(initiation(edge))
            whole = (
                b"POST /ts2021 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: upgrade\r\n"
                b"Upgrade: tailscale-control-protocol\r\nX-Tailscale-Handshake: %b\r\n\r\n" % handshake
            )
            await throw(edge, altered(dice, whole))
        await nothing_broke(edge, caplog, faults)


async def test_altered_websocket_upgrades_and_messages(dice, caplog):
    faults = watch()
    async with serve_edge(TIRELESS) as edge:
        for number in range(300):
            handshake = quote(base64.b64encode(initiation(edge)).decode(), safe="").encode()
            whole = (
                b"GET /ts2021?X-Tailscale-Handshake=%b HTTP/1.1\r\nHost: x\r\n"
                b"Connection: upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                b"Sec-WebSocket-Protocol: tailscale-control-protocol\r\n\r\n" % handshake
            )
            message = b"\x82\x85\x00\x00\x00\x00\x04\x00\x10zz"
            await throw(edge, altered(dice, whole) if number % 2 else whole + altered(dice, message * 3))
        await nothing_broke(edge, caplog, faults)


async def test_altered_http2_inside_valid_records(dice, caplog):
    faults = watch()
    head = bytes([0x83, 0x87, 0x44, 7]) + b"/stream" + b"\x40\x01a\x01b"
    plain = (
        frames.frame_header(len(head), frames.HEADERS, frames.END_HEADERS, 101)
        + head
        + frames.frame_header(4, frames.DATA, frames.END_STREAM, 101)
        + b"body"
        + frames.window_update(101, 5)
        + frames.ping(bytes(8))
        + frames.rst_stream(101, 8)
    )
    async with serve_edge(TIRELESS) as edge:
        for _ in range(150):
            client = await NoiseClient.connect(edge.url, MACHINE, control_key=edge.control_key)
            with contextlib.suppress(ConnectionError):
                await client.send_raw(altered(dice, plain))
            await client.close()
        await nothing_broke(edge, caplog, faults)


async def test_random_bytes_at_every_layer(dice, caplog):
    faults = watch()
    async with serve_edge(TIRELESS) as edge:
        for _ in range(100):
            await throw(edge, dice.randbytes(dice.randint(1, 600)))
            client = await NoiseClient.connect(edge.url, MACHINE, control_key=edge.control_key)
            with contextlib.suppress(ConnectionError):
                await client.write_raw(dice.randbytes(dice.randint(1, 600)))
            await client.close()
        await nothing_broke(edge, caplog, faults)
