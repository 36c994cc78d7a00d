"""A relay's client over real sockets: what a Tailscale client does, with every step visible to a test."""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.derp import frames, handshake
from services.shared.keys import NodeKey, PrivateKey

DEADLINE = 5.0


def pinned_context() -> ssl.SSLContext:
    """A client context that checks no authority: the pin is compared after the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def open_raw(
    port: int, *, pin: str = "", host: str = "127.0.0.1"
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection, over TLS when there is a pin to compare."""
    context = pinned_context() if pin else None
    async with asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
    if pin:
        leaf = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert pin == "sha256-raw:" + hashlib.sha256(leaf).hexdigest()
    return reader, writer


async def read_head(reader: asyncio.StreamReader) -> str:
    """One HTTP response head."""
    async with asyncio.timeout(DEADLINE):
        return (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")


class RelayClient:
    """One logged-in client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, private: PrivateKey) -> None:
        self._reader, self.writer = reader, writer
        self._frames = frames.FrameReader(frames.CLIENT_BOUNDS)
        self._ready: deque[frames.Frame] = deque()
        self.private = private
        self.key = handshake.public_key(private)
        self.server = NodeKey.zero()

    async def log_in(self, mesh_key: bytes | None = None) -> None:
        """Server key, client info, server info."""
        self.server = handshake.decode_server_key((await self.next(frames.SERVER_KEY)).payload)
        info = handshake.ClientInfo(can_ack_pings=True, mesh_key=mesh_key)
        self.writer.write(handshake.encode_client_info(info, self.private, self.server, os.urandom(24)))
        answer = await self.next(frames.SERVER_INFO)
        handshake.open_server_info(answer.payload, self.private, self.server)

    async def next(self, kind: int) -> frames.Frame:
        """The next frame, which must be of this type; keep-alives between are passed over.

        Raises:
            EOFError: the relay ended the connection.
        """
        async with asyncio.timeout(DEADLINE):
            while True:
                while self._ready:
                    frame = self._ready.popleft()
                    if frame.kind != frames.KEEP_ALIVE or kind == frames.KEEP_ALIVE:
                        assert frame.kind == kind, f"type {frame.kind} came where {kind} was expected"
                        return frame
                data = await self._reader.read(65536)
                if not data:
                    raise EOFError
                self._ready.extend(self._frames.frames(data))

    async def packet(self) -> tuple[bytes, bytes]:
        """The next packet and its sender."""
        payload = (await self.next(frames.RECV_PACKET)).payload
        return payload[:32], payload[32:]

    def send(self, to: NodeKey, packet: bytes) -> None:
        """Send a packet."""
        self.writer.write(frames.send_packet(to.raw, packet))

    async def settle(self) -> None:
        """Return once the relay has handled all that was sent before."""
        token = os.urandom(8)
        self.writer.write(frames.frame(frames.PING, token))
        assert (await self.next(frames.PONG)).payload == token

    async def ended(self) -> None:
        """Return once the relay has ended the connection."""
        async with asyncio.timeout(DEADLINE):
            try:
                while await self._reader.read(65536):
                    pass
            except ConnectionError:
                pass


async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *extra: str, method: str = "GET") -> str:
    """Ask for DERP; the response head."""
    lines = (f"{method} /derp HTTP/1.1", "Host: localhost", "Upgrade: DERP", "Connection: Upgrade", *extra)
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    return await read_head(reader)


@asynccontextmanager
async def client(
    port: int,
    *,
    pin: str = "",
    host: str = "127.0.0.1",
    mesh_key: bytes | None = None,
    private: PrivateKey | None = None,
) -> AsyncIterator[RelayClient]:
    """A client that is logged in."""
    reader, writer = await open_raw(port, pin=pin, host=host)
    assert (await upgrade(reader, writer)).startswith("HTTP/1.1 101 ")
    one = RelayClient(reader, writer, private or PrivateKey.clamp(os.urandom(32)))
    await one.log_in(mesh_key)
    try:
        yield one
    finally:
        writer.close()
