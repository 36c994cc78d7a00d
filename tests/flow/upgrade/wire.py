"""Upgrades as bytes, and what the server answers to them."""

import asyncio
import base64
import os
from urllib.parse import quote

from gateway.noise import Initiator
from services.shared.keys import PrivateKey
from tests.fakes.edge import Edge

MACHINE = PrivateKey.clamp(b"\x22" * 32)
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: tailscale-control-protocol\r\nConnection: upgrade\r\n\r\n"


def initiator(edge: Edge) -> Initiator:
    return Initiator(MACHINE, edge.control_key, PrivateKey.clamp(os.urandom(32)), 113)


def upgrade(handshake: bytes | None, method: str = "POST", **changes: str | None) -> bytes:
    headers: dict[str, str | None] = {
        "Host": "ctl",
        "Content-Length": "0",
        "Connection": "upgrade",
        "Upgrade": "tailscale-control-protocol",
        "X-Tailscale-Handshake": None if handshake is None else base64.b64encode(handshake).decode(),
    }
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [
        f"{method} /ts2021 HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers.items() if value is not None),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


async def say(edge: Edge, *pieces: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    return reader, writer


async def answer_to(edge: Edge, *pieces: bytes) -> bytes:
    """Everything the server says until it hangs up."""
    reader, writer = await say(edge, *pieces)
    async with asyncio.timeout(5):
        data = await reader.read()
    writer.close()
    return data


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


def query(initiation: bytes) -> str:
    return "?X-Tailscale-Handshake=" + quote(base64.b64encode(initiation).decode(), safe="")
