"""How a client reaches the control protocol: upgrade or WebSocket, as streams of bytes that Noise runs over."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import Sequence
from typing import Protocol
from urllib.parse import quote, urlsplit

import websockets.asyncio.client
import websockets.exceptions

from services.shared.keys import MachineKey

DEADLINE = 10.0
SUBPROTOCOL = "tailscale-control-protocol"


class UpgradeRefusedError(Exception):
    """The server did not switch protocols."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


class ByteStream(Protocol):
    """What Noise runs over."""

    async def read(self) -> bytes:
        """Some bytes; none at the end."""
        ...

    async def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    async def close(self) -> None:
        """Hang up."""
        ...


class SocketStream:
    """The connection after the HTTP upgrade."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def read(self) -> bytes:
        try:
            return await self.reader.read(1 << 16)
        except ConnectionError:
            return b""

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def close(self) -> None:
        self.writer.close()


class WebSocketStream:
    """Binary messages as a byte stream; `piece` cuts what is sent into messages of that size."""

    def __init__(self, socket: websockets.asyncio.client.ClientConnection, piece: int = 1000) -> None:
        self.socket, self.piece = socket, piece

    async def read(self) -> bytes:
        try:
            message = await self.socket.recv()
        except websockets.exceptions.ConnectionClosed:
            return b""
        assert isinstance(message, bytes)
        return message or await self.read()

    async def write(self, data: bytes) -> None:
        for start in range(0, len(data), self.piece):
            await self.socket.send(data[start : start + self.piece])

    async def close(self) -> None:
        await self.socket.close()


async def fetch_control_key(url: str, version: int = 113, tls: ssl.SSLContext | None = None) -> MachineKey:
    """`GET /key?v=N`."""
    async with asyncio.timeout(DEADLINE):
        reader, writer = await _open(url, tls)
        host = urlsplit(url).netloc
        writer.write(f"GET /key?v={version} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise UpgradeRefusedError(int(head.split()[1]), body.decode(errors="replace"))
    return MachineKey.parse(json.loads(body)["publicKey"])


async def dial_upgrade(
    url: str, initiation: bytes, tls: ssl.SSLContext | None = None, headers: Sequence[tuple[str, str]] = ()
) -> SocketStream:
    """`POST /ts2021` as Go sends it, with what a proxy would add; the stream begins after the 101."""
    added = "".join(f"{name}: {value}\r\n" for name, value in headers)
    reader, writer = await _open(url, tls)
    handshake = base64.b64encode(initiation).decode()
    writer.write(
        f"POST /ts2021 HTTP/1.1\r\nHost: {urlsplit(url).hostname}\r\nUser-Agent: Go-http-client/1.1\r\n"
        f"Content-Length: 0\r\nConnection: upgrade\r\nUpgrade: {SUBPROTOCOL}\r\n"
        f"X-Tailscale-Handshake: {handshake}\r\n{added}\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 101 " not in head.split(b"\r\n")[0]:
        body = await reader.read()
        writer.close()
        raise UpgradeRefusedError(int(head.split()[1]), body.decode(errors="replace"))
    return SocketStream(reader, writer)


async def dial_websocket(url: str, initiation: bytes, tls: ssl.SSLContext | None = None) -> WebSocketStream:
    """The WebSocket variant, as a browser opens it."""
    parts = urlsplit(url)
    handshake = quote(base64.b64encode(initiation).decode(), safe="")
    target = f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}/ts2021?X-Tailscale-Handshake={handshake}"
    options = {"ssl": tls} if tls else {}
    return WebSocketStream(
        await websockets.asyncio.client.connect(
            target,
            subprotocols=[websockets.Subprotocol(SUBPROTOCOL)],
            compression=None,
            proxy=None,
            origin=websockets.Origin("https://elsewhere.example"),
            **options,
        )
    )


async def read_frame(stream: ByteStream) -> tuple[bytes, bytes]:
    """One handshake frame (a response, or an error frame), and what came behind it."""
    data = b""
    while len(data) < 3 or len(data) < 3 + int.from_bytes(data[1:3], "big"):
        more = await stream.read()
        if not more:
            raise ConnectionResetError("closed without a handshake response")
        data += more
    end = 3 + int.from_bytes(data[1:3], "big")
    return data[:end], data[end:]


async def _open(url: str, tls: ssl.SSLContext | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return await asyncio.open_connection(parts.hostname, port, ssl=tls if parts.scheme == "https" else None)
