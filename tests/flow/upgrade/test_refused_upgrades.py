"""Upgrades and other beginnings that are refused, each in the form that its sender can read."""

import asyncio
import contextlib
import json
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.noise import error_frame
from services.shared.config.processes import GatewayConfig
from tests.fakes.edge import serve_edge, until
from tests.flow.upgrade.wire import SWITCHING, answer_to, initiator, say, status_of, upgrade

VECTOR = json.loads((Path(__file__).parents[2] / "wire" / "vectors" / "noise.json").read_text())
pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


@pytest.mark.statement(9)
@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": None, "Connection": None},
        {"Upgrade": None},
        {"Connection": None},
        {"Connection": "close"},
        {"Upgrade": "h2c"},
        {"Upgrade": ""},
        {"X_Tailscale_Handshake": None},
        {"X_Tailscale_Handshake": ""},
        {"X_Tailscale_Handshake": "not base64!"},
        {"X_Tailscale_Handshake": VECTOR["header"].rstrip("=")},
        {"X_Tailscale_Handshake": VECTOR["header"].replace("+", "-").replace("/", "_") + "-_-_"},
    ],
)
async def test_a_missing_or_invalid_header_gets_400_in_plain_text(changes):
    async with serve_edge() as edge:
        answer = await answer_to(edge, upgrade(bytes.fromhex(VECTOR["initiation"]), **changes))

        assert status_of(answer) == 400
        assert b"content-type: text/plain" in answer
        assert answer.split(b"\r\n\r\n", 1)[1].strip()
        assert edge.tunnels.counts.upgrades_refused == 1
        await until(lambda: edge.tunnels.counts.connections == 0)


async def test_another_method_gets_405():
    async with serve_edge() as edge:
        assert status_of(await answer_to(edge, upgrade(bytes(101), "PUT"))) == 405


@pytest.mark.statement(8, 17)
@pytest.mark.parametrize(
    ("initiation", "text"),
    [
        (b"x", "wrong handshake initiation size"),
        (bytes(100), "wrong handshake initiation size"),
        (bytes(102), "wrong handshake initiation size"),
        (bytes.fromhex("0071020060") + bytes(96), "wrong handshake message type"),
        (bytes.fromhex("0071010061") + bytes(96), "wrong handshake initiation length"),
    ],
)
async def test_a_malformed_initiation_gets_an_error_frame_after_the_101_and_the_end(initiation, text):
    async with serve_edge() as edge:
        assert await answer_to(edge, upgrade(initiation)) == SWITCHING + error_frame(text)
        assert edge.tunnels.counts.handshakes_refused == 1
        await until(lambda: edge.tunnels.counts.connections == 0)


@pytest.mark.statement(19)
@pytest.mark.parametrize("index", [10, 50, 100])
async def test_an_initiation_that_proves_nothing_gets_silence(index):
    async with serve_edge() as edge:
        initiation = bytearray(initiator(edge).initiation)
        initiation[index] ^= 1

        assert await answer_to(edge, upgrade(bytes(initiation))) == SWITCHING


async def test_an_upgrade_behind_a_request_without_its_answer_is_refused():
    async with serve_edge() as edge:
        plain = b"GET /key HTTP/1.1\r\nHost: x\r\n\r\n"
        answer = await answer_to(edge, plain + upgrade(bytes.fromhex(VECTOR["initiation"])))

        assert b"101 Switching" not in answer


@pytest.mark.parametrize("start", [b"\x16\x03\x01\x02\x00", b"\r\n\r\nGARBAGE\r\n\r\n", b"GET / SMTP/1.1\r\n\r\n"])
async def test_what_is_no_http_gets_400_and_the_end(start):
    async with serve_edge() as edge:
        assert status_of(await answer_to(edge, start)) == 400


async def test_a_head_without_end_is_refused_at_64_kib():
    async with serve_edge() as edge:
        answer = await answer_to(edge, b"GET /key HTTP/1.1\r\nHost: x\r\nX: " + b"y" * (70 << 10))

        assert status_of(answer) == 431


@pytest.mark.parametrize(
    "start", [b"", b"GET /key HTT", b"POST /key HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"]
)
async def test_a_request_that_is_not_whole_at_the_deadline_is_dropped(start):
    async with serve_edge(GatewayConfig(handshake_timeout=timedelta(seconds=0.2))) as edge:
        reader, writer = await say(edge, start)
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
        await until(lambda: edge.tunnels.counts.connections == 0)
        assert edge.tunnels.counts.half_open_dropped == 1
        writer.close()
