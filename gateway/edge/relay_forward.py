"""Forwards the connections that `listener` hands over to the relay's own process. Does not read what it passes on.

Each side is read only while the other one takes what was read, so that a connection costs its two write buffers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from services.shared.background import Background
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

CONNECT_SECONDS = 5.0
"""How long the relay may take to accept a connection."""

_HIGH_WATER = 64 << 10
_UNREACHABLE = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class RelayForwarder:
    """Open connections to the relay at one address."""

    def __init__(self, address: str, limit: int, background: Background) -> None:
        """`address` is `host:port` of its plain listener; beyond `limit` connections none is taken over."""
        host, _, port = address.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._limit = limit
        self._open: set[_Client] = set()
        self._background = background

    def __len__(self) -> int:
        return len(self._open)

    def adopt(self, transport: asyncio.Transport, address: tuple[str, int], data: bytes) -> bool:
        """Take over a connection with the bytes read so far. False at the limit."""
        if len(self._open) >= self._limit:
            return False
        client = _Client(self._open.discard)
        self._open.add(client)
        transport.set_protocol(client)
        client.connection_made(transport)
        transport.pause_reading()
        client.early += data
        self._background.run(self._connect(client), "relay-connect")
        return True

    async def stop(self) -> None:
        """Close all connections; clients dial again."""
        await self._background.stop()
        for client in tuple(self._open):
            client.close()

    async def _connect(self, client: _Client) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                relay, _ = await loop.create_connection(_End, self._host, self._port)
        except OSError as error:  # TimeoutError is one
            log.warning("relay unreachable", host=self._host, port=self._port, error=str(error) or type(error).__name__)
            client.refuse()
            return
        if client.closed:
            relay.close()
            return
        client.join(relay)


class _End(asyncio.Protocol):
    """One side of a forwarded connection."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.other: _End | None = None
        self.closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self.transport.set_write_buffer_limits(high=_HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        if (there := self._opposite()) is not None:
            there.write(data)

    def pause_writing(self) -> None:
        """Stop reading the other side until this one has sent what it was given."""
        if (there := self._opposite()) is not None:
            there.pause_reading()

    def resume_writing(self) -> None:
        """Read the other side again."""
        if (there := self._opposite()) is not None:
            there.resume_reading()

    def _opposite(self) -> asyncio.Transport | None:
        """Return the transport of the other side while it is open."""
        there = None if self.other is None else self.other.transport
        return None if there is None or there.is_closing() else there

    def connection_lost(self, exc: Exception | None) -> None:
        """Close the other side, once it has sent what it was given."""
        self.closed = True
        if self.other is not None:
            self.other.close()

    def close(self) -> None:
        """Close this side after its buffer is empty."""
        if self.transport is not None:
            self.transport.close()


class _Client(_End):
    """The side of the client, which comes first."""

    def __init__(self, forget: Callable[[_Client], None]) -> None:
        super().__init__()
        self._forget = forget
        self.early = bytearray()
        """What it sent before the relay was connected; it is not read meanwhile, so this is bounded."""

    def join(self, relay: asyncio.Transport) -> None:
        """Pass on what came early, and read both sides from now on."""
        end = relay.get_protocol()
        assert isinstance(end, _End) and self.transport is not None
        self.other, end.other = end, self
        relay.write(bytes(self.early))
        self.early.clear()
        self.transport.resume_reading()

    def refuse(self) -> None:
        """Answer that the relay is away."""
        if self.transport is not None and not self.closed:
            self.transport.write(_UNREACHABLE)
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self.early += data
        else:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget(self)
        super().connection_lost(exc)
