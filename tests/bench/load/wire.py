"""One connection of a simulated device: upgrade, Noise, requests, and a map stream cut into messages.

Every record is opened and every message counted; the bytes of a map are kept only where `keep` says so, because a
generator that reads everything would use more of the machine than the server it measures.
"""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gateway.noise import EARLY_MAGIC, Initiator, NoiseSession
from services.shared.keys import MachineKey, PrivateKey
from tests.bench.load import http2

RESPONSE = 51
KEEPALIVE_LIMIT = 48
"""Messages up to this size are keep-alives: no change is that short."""


class LostError(Exception):
    """The server refused or dropped the connection."""


class Wire(asyncio.Protocol):
    """A connection; `on_message(size, data)` hears of map messages, `on_lost` of its end."""

    def __init__(
        self,
        machine: PrivateKey,
        control: MachineKey,
        version: int,
        host: bytes,
        on_message: Callable[[int, bytes], None],
        on_lost: Callable[[], None],
        *,
        keep: bool,
        window: int = http2.WIDE,
    ) -> None:
        self._initiator: Initiator | None = Initiator(machine, control, PrivateKey.clamp(os.urandom(32)), version)
        self._host, self._keep, self._window = host, keep, window
        self._on_message, self._on_lost = on_message, on_lost
        self._buffer = b""
        self._early = b""
        self._session: NoiseSession | None = None
        self._upgraded = self._started = False
        self._http = http2.Reader(self._status, self._data, self._ended, refill=window <= http2.DEFAULT)
        self._next_stream = 1
        self._answers: dict[int, tuple[asyncio.Future[tuple[int, bytes]], list[bytes]]] = {}
        self._codes: dict[int, int] = {}
        self._map_stream = 0
        self._left = 0
        self._size = 0
        self._head = b""
        self._kept: list[bytes] = []
        self.map_status = 0
        self.transport: asyncio.Transport | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._gone = False

    # Life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport = transport  # type: ignore[assignment]
        assert self._initiator is not None
        handshake = base64.b64encode(self._initiator.initiation)
        self.transport.write(  # type: ignore[union-attr]
            b"POST /ts2021 HTTP/1.1\r\nHost: %b\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: 0\r\n"
            b"Connection: upgrade\r\nUpgrade: tailscale-control-protocol\r\nX-Tailscale-Handshake: %b\r\n\r\n"
            % (self._host, handshake)
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._gone = True
        error = LostError(str(exc or "closed"))
        if not self.ready.done():
            self.ready.set_exception(error)
            self.ready.exception()
        for future, _ in self._answers.values():
            if not future.done():
                future.set_exception(error)
                future.exception()
        self._answers.clear()
        self._on_lost()

    @property
    def lost(self) -> bool:
        """Whether it has ended, or is about to hear that it has."""
        return self._gone or (self.transport is not None and self.transport.is_closing())

    def cut(self) -> None:
        """End it without a word."""
        if self.transport is not None:
            self.transport.abort()

    # Asking

    def ask(self, path: str, body: bytes) -> asyncio.Future[tuple[int, bytes]]:
        """A request; its status and whole body."""
        future: asyncio.Future[tuple[int, bytes]] = asyncio.get_running_loop().create_future()
        if self.lost or self._session is None:
            future.set_exception(LostError("closed"))
            return future
        stream = self._next_stream
        self._next_stream += 2
        self._answers[stream] = (future, [])
        self._send(http2.request(stream, path.encode(), self._host, body))
        return future

    def open_map(self, body: bytes) -> None:
        """A map request whose answer stays open.

        Raises:
            LostError: the connection has ended.
        """
        if self.lost:
            raise LostError("closed")
        self._map_stream = self._next_stream
        self._next_stream += 2
        self.map_status = 0
        self._left = self._size = 0
        self._head = b""
        self._kept = []
        self._send(http2.request(self._map_stream, b"/machine/map", self._host, body))

    def _send(self, plain: bytes) -> None:
        assert self._session is not None and self.transport is not None
        self.transport.write(self._session.sealer.seal(plain))

    # Reading

    def data_received(self, data: bytes) -> None:
        if self._session is not None and not self._buffer:
            self._records(data)
            return
        self._buffer += data
        if self._session is None and not self._handshake():
            return
        data, self._buffer = self._buffer, b""
        self._records(data)

    def _handshake(self) -> bool:
        if not self._upgraded:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return False
            if b" 101 " not in head.split(b"\r\n")[0]:
                self._fail(f"upgrade refused: {head[:60]!r}")
                return False
            self._upgraded, self._buffer = True, rest
        if len(self._buffer) < RESPONSE:
            if self._buffer[:1] == b"\x03":
                self._fail("handshake refused")
            return False
        assert self._initiator is not None
        try:
            self._session = self._initiator.finish(self._buffer[:RESPONSE])
        except Exception as error:
            self._fail(str(error))
            return False
        self._initiator = None
        self._buffer = self._buffer[RESPONSE:]
        # The reader of gateway.noise makes its cipher anew for each call, which is right for a server.
        self._cipher = ChaCha20Poly1305(self._session.reader._key or b"")
        self._nonce = 0
        self._send(http2.preface(self._window))
        self.ready.set_result(None)
        return True

    def _fail(self, reason: str) -> None:
        if not self.ready.done():
            self.ready.set_exception(LostError(reason))
            self.ready.exception()
        self.cut()

    def _records(self, data: bytes) -> None:
        at, size, plain = 0, len(data), []
        decrypt = self._cipher.decrypt
        while size - at >= 3:
            end = at + 3 + (data[at + 1] << 8 | data[at + 2])
            if end > size:
                break
            plain.append(decrypt(self._nonce.to_bytes(12, "big"), data[at + 3 : end], None))
            self._nonce += 1
            at = end
        if at < size:
            self._buffer = data[at:]
        if not plain:
            return
        text = plain[0] if len(plain) == 1 else b"".join(plain)
        if not self._started:
            text = self._without_early(text)
        self._http.receive(text)
        if self._http.reply:
            reply, self._http.reply = self._http.reply, b""
            self._send(reply)

    def _without_early(self, text: bytes) -> bytes:
        text = self._early + text
        self._early = b""
        if len(text) >= 9 and text.startswith(EARLY_MAGIC):
            end = 9 + int.from_bytes(text[5:9], "big")
            if len(text) < end:
                self._early = text
                return b""
            text = text[end:]
        elif len(text) < 9:
            self._early = text
            return b""
        self._started = True
        return text

    def _status(self, stream: int, code: int) -> None:
        if stream == self._map_stream:
            self.map_status = code
        else:
            self._codes[stream] = code

    def _data(self, stream: int, data: bytes) -> None:
        if stream != self._map_stream or self.map_status != 200:
            if stream in self._answers:
                self._answers[stream][1].append(data)
            return
        at, size = 0, len(data)
        while at < size:
            if not self._left:
                need = 4 - len(self._head)
                self._head += data[at : at + need]
                at += need
                if len(self._head) < 4:
                    return
                self._left = self._size = int.from_bytes(self._head, "little")
                self._head = b""
                continue
            taken = min(self._left, size - at)
            if self._keep:
                self._kept.append(data[at : at + taken])
            at += taken
            self._left -= taken
            if not self._left:
                message, self._kept = b"".join(self._kept), []
                self._on_message(self._size, message)

    def _ended(self, stream: int, whole: bool) -> None:
        if stream == self._map_stream:
            self.cut()
            return
        future, parts = self._answers.pop(stream, (None, []))
        code = self._codes.pop(stream, 0)
        if future is not None and not future.done():
            if whole:
                future.set_result((code, b"".join(parts)))
            else:
                future.set_exception(LostError("stream reset"))
                future.exception()


now = time.monotonic
