"""A client of the control protocol for tests: upgrade or WebSocket, Noise as the initiator, `h2` inside.

client = await NoiseClient.connect("http://127.0.0.1:8080", machine_private_key)
status, headers, body = await client.request("POST", "/machine/register", b"{}")
stream = await client.start("/machine/map", b"{}")
await client.close()
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    PingAckReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import StreamClosedError
from h2.settings import SettingCodes, Settings

from gateway.noise import Initiator, NoiseSession, decode_early
from services.shared.keys import ChallengeKey, MachineKey, PrivateKey
from tests.fakes.dialling import (
    DEADLINE,
    ByteStream,
    dial_upgrade,
    dial_websocket,
    fetch_control_key,
    read_frame,
)

GO_WINDOW = 4 << 20


class StreamResetError(Exception):
    """The server broke a stream off, or the connection went while it was open."""


class _Exchange:
    """One stream as the client sees it."""

    def __init__(self) -> None:
        self.head: asyncio.Future[tuple[int, dict[str, str]]] = asyncio.get_running_loop().create_future()
        self.chunks: deque[tuple[bytes, int]] = deque()
        self.more = asyncio.Event()
        self.ended = False
        self.error: str | None = None

    def fail(self, error: str) -> None:
        self.error = self.error or error
        self.ended = True
        if not self.head.done():
            self.head.set_exception(StreamResetError(error))
            self.head.exception()
        self.more.set()


class NoiseClient:
    """One connection. Every wait has a deadline."""

    def __init__(self, stream: ByteStream, session: NoiseSession, left: bytes, initial_window: int) -> None:
        self._stream = stream
        self.session = session
        self.challenge: ChallengeKey | None = None
        """The key of the early payload, when one came."""
        self.closed = asyncio.Event()
        self.going_away = asyncio.Event()
        self.http = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        settings = {SettingCodes.ENABLE_PUSH: 0, SettingCodes.INITIAL_WINDOW_SIZE: initial_window}
        self.http.local_settings = Settings(client=True, initial_values=settings)
        self.http.initiate_connection()
        if initial_window >= GO_WINDOW:
            self.http.increment_flow_control_window(1 << 30)
        self._exchanges: dict[int, _Exchange] = {}
        self._pongs: deque[asyncio.Future[None]] = deque()
        self._windows = asyncio.Event()
        self._left = left
        self._frames = b""
        self._plain: bytes | None = b""
        """What came before it was clear whether there is an early payload."""
        self._task = asyncio.create_task(self._read_all())

    @classmethod
    async def connect(
        cls,
        url: str,
        machine_private_key: PrivateKey,
        version: int = 113,
        *,
        websocket: bool = False,
        control_key: MachineKey | None = None,
        tls: ssl.SSLContext | None = None,
        initial_window: int = GO_WINDOW,
        headers: Sequence[tuple[str, str]] = (),
    ) -> Self:
        """Connect as a client does; without a `control_key` it is asked for at `/key`."""
        control = control_key or await fetch_control_key(url, version, tls)
        ephemeral = PrivateKey.clamp(os.urandom(32))
        initiator = Initiator(machine_private_key, control, ephemeral, version)
        async with asyncio.timeout(DEADLINE):
            if websocket:
                stream: ByteStream = await dial_websocket(url, initiator.initiation, tls)
            else:
                stream = await dial_upgrade(url, initiator.initiation, tls, headers)
            try:
                response, left = await read_frame(stream)
                session = initiator.finish(response)
            except BaseException:
                await stream.close()
                raise
        client = cls(stream, session, left, initial_window)
        await client._send()
        return client

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: Sequence[tuple[str, str]] = ()
    ) -> tuple[int, dict[str, str], bytes]:
        """Ask and wait for the whole answer: status, headers, body."""
        async with asyncio.timeout(DEADLINE):
            stream_id, exchange = await self._ask(method, path, body, headers)
            status, answer = await exchange.head
            chunks = [chunk async for chunk in self._chunks(stream_id, exchange)]
        return status, answer, b"".join(chunks)

    async def start(
        self, path: str, body: bytes = b"", method: str = "POST", headers: Sequence[tuple[str, str]] = ()
    ) -> OpenStream:
        """Ask, and return when the head of the answer is here."""
        async with asyncio.timeout(DEADLINE):
            stream_id, exchange = await self._ask(method, path, body, headers)
            status, answer = await exchange.head
        return OpenStream(self, stream_id, exchange, status, answer)

    async def ping(self) -> None:
        """Wait until the server has answered a PING: what was sent before has been read by then."""
        pong: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pongs.append(pong)
        self.http.ping(b"\x07" * 8)
        await self._send()
        async with asyncio.timeout(DEADLINE):
            await pong

    async def send_raw(self, plaintext: bytes) -> None:
        """Seal any bytes and send them: to break the rules of HTTP/2."""
        await self._stream.write(self.session.sealer.seal(plaintext))

    async def write_raw(self, data: bytes) -> None:
        """Send any bytes without sealing them: to break the rules of Noise."""
        await self._stream.write(data)

    async def close(self) -> None:
        """Hang up."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._stream.close()
        self._end("closed")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def _ask(
        self, method: str, path: str, body: bytes, headers: Sequence[tuple[str, str]]
    ) -> tuple[int, _Exchange]:
        if self.closed.is_set():
            raise StreamResetError("connection closed")
        stream_id = self.http.get_next_available_stream_id()
        exchange = self._exchanges[stream_id] = _Exchange()
        pseudo = [(":method", method), (":scheme", "https"), (":authority", "unused"), (":path", path)]
        self.http.send_headers(
            stream_id, [*pseudo, ("user-agent", "Go-http-client/2.0"), *headers], end_stream=not body
        )
        await self._send()
        while body:
            size = min(self.http.local_flow_control_window(stream_id), self.http.max_outbound_frame_size, len(body))
            if size <= 0:
                self._windows.clear()
                await self._windows.wait()
                if exchange.ended:
                    break
                continue
            self.http.send_data(stream_id, body[:size], end_stream=size == len(body))
            body = body[size:]
            await self._send()
        return stream_id, exchange

    async def _chunks(self, stream_id: int, exchange: _Exchange) -> AsyncIterator[bytes]:
        while (chunk := await self._chunk(stream_id, exchange)) is not None:
            yield chunk

    async def _chunk(self, stream_id: int, exchange: _Exchange) -> bytes | None:
        """The next chunk, its window given back; None at the end."""
        while not exchange.chunks:
            if exchange.error is not None:
                raise StreamResetError(exchange.error)
            if exchange.ended:
                return None
            exchange.more.clear()
            await exchange.more.wait()
        chunk, size = exchange.chunks.popleft()
        if not self.closed.is_set() and size:
            try:
                self.http.acknowledge_received_data(size, stream_id)
            except StreamClosedError:
                self.http.increment_flow_control_window(size)
            await self._send()
        return chunk

    async def _cancel(self, stream_id: int, exchange: _Exchange) -> None:
        if not exchange.ended and not self.closed.is_set():
            exchange.fail("cancelled")
            self.http.reset_stream(stream_id, ErrorCodes.CANCEL)
            await self._send()

    async def _send(self) -> None:
        if data := self.http.data_to_send():
            await self._stream.write(self.session.sealer.seal(data))

    async def _read_all(self) -> None:
        data = self._left
        try:
            while True:
                self._receive(self.session.reader.receive(data))
                await self._send()
                data = await self._stream.read()
                if not data:
                    self._end("connection closed")
                    return
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._end(repr(error))

    def _receive(self, plain: bytes) -> None:
        if self._plain is not None:
            self._plain += plain
            early = decode_early(self._plain)
            if early is None:
                return
            self.challenge, taken = early
            plain, self._plain = self._plain[taken:], None
        for event in self.http.receive_data(self._without_goaway(plain)):
            match event:
                case ResponseReceived():
                    head = dict(event.headers or [])
                    self._of(event.stream_id).head.set_result((int(head.pop(":status")), head))
                case DataReceived():
                    exchange = self._of(event.stream_id)
                    if event.data:
                        exchange.chunks.append((event.data, event.flow_controlled_length or 0))
                    exchange.more.set()
                case StreamEnded():
                    exchange = self._of(event.stream_id)
                    exchange.ended = True
                    exchange.more.set()
                case StreamReset():
                    if event.error_code == ErrorCodes.NO_ERROR and self._of(event.stream_id).ended:
                        continue
                    self._of(event.stream_id).fail(f"reset: {event.error_code}")
                    self._windows.set()
                case PingAckReceived():
                    self._pongs.popleft().set_result(None)
                case WindowUpdated():
                    self._windows.set()

    def _without_goaway(self, plain: bytes) -> bytes:
        """Whole frames but GOAWAY: after one `h2` refuses everything, while real clients finish their streams."""
        self._frames += plain
        out = b""
        while len(self._frames) >= 9 and len(self._frames) >= (end := 9 + int.from_bytes(self._frames[:3], "big")):
            if self._frames[3] == 7:
                self.going_away.set()
            else:
                out += self._frames[:end]
            self._frames = self._frames[end:]
        return out

    def _of(self, stream_id: int | None) -> _Exchange:
        assert stream_id is not None
        return self._exchanges[stream_id]

    def _end(self, error: str) -> None:
        self.closed.set()
        self._windows.set()
        for exchange in self._exchanges.values():
            if not exchange.ended:
                exchange.fail(error)
        for pong in self._pongs:
            if not pong.done():
                pong.set_exception(StreamResetError(error))


class OpenStream:
    """An answer whose body may stay open."""

    def __init__(
        self, client: NoiseClient, stream_id: int, exchange: _Exchange, status: int, headers: dict[str, str]
    ) -> None:
        self._client, self._stream_id, self._exchange = client, stream_id, exchange
        self.status, self.headers = status, headers

    @property
    def pending(self) -> bool:
        """Whether a chunk is here that was not read."""
        return bool(self._exchange.chunks)

    async def read(self) -> bytes | None:
        """The next chunk, or None at the end; only reading gives the window back."""
        async with asyncio.timeout(DEADLINE):
            return await self._client._chunk(self._stream_id, self._exchange)

    async def read_exactly(self, size: int) -> bytes:
        """So many bytes."""
        data = bytearray()
        while len(data) < size:
            chunk = await self.read()
            if chunk is None:
                raise StreamResetError("ended early")
            data += chunk
        if len(data) > size:
            self._exchange.chunks.appendleft((bytes(data[size:]), 0))
        return bytes(data[:size])

    async def read_all(self) -> bytes:
        """All to the end."""
        data = bytearray()
        while (chunk := await self.read()) is not None:
            data += chunk
        return bytes(data)

    async def cancel(self) -> None:
        """RST_STREAM(CANCEL), as clients do; harmless after the end."""
        await self._client._cancel(self._stream_id, self._exchange)
