"""The record layer after the handshake: one cipher each way, and their counters.

     0  1  type 0x04
     1  2  length N = plaintext + 16, at most 4093
     3  N  ciphertext and tag

The nonce is four zero bytes and a *big-endian* 64-bit counter (Tailscale `controlbase/conn.go`); the Noise
specification has it little-endian, so stock libraries agree on record 0 and fail at record 1. There is no rekey.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gateway.noise.errors import AuthenticationError, MalformedMessageError, NoiseError
from gateway.noise.messages import HEADER_SIZE, MAX_FRAME, MAX_PLAINTEXT, TAG_SIZE, TYPE_RECORD

_NONCE = struct.Struct(">IQ")
_HEAD = struct.Struct(">BH")
_LAST_NONCE = (1 << 64) - 1
"""The all-ones counter is never used (`controlbase/conn.go` errors with errCipherExhausted there)."""
_BUSY = 2
"""Records in one period from which a sealer counts as busy; an occasional keep-alive is less.

One busy period is not enough, because every client that has just connected has one.
"""


class RecordReader:
    """Opens records; buffers at most one incomplete frame.

    Keeps the key and not a cipher object: reading is rare, and an idle object would cost 2 KiB per connection.
    """

    __slots__ = ("_buffer", "_key", "_nonce")

    def __init__(self, key: bytes) -> None:
        self._key: bytes | None = key
        self._nonce = 0
        self._buffer = b""

    def receive(self, data: bytes) -> bytes:
        """Process received bytes. Returns all plaintext that they complete.

        Raises:
            MalformedMessageError: a frame of another type, or of an invalid length.
            AuthenticationError: a record does not decrypt.
            NoiseError: an earlier call raised.
        """
        if self._key is None:
            raise NoiseError("the connection has failed before")
        buffer = self._buffer + data if self._buffer else data
        cipher = ChaCha20Poly1305(self._key)
        position, plain = 0, []
        try:
            while (end := _frame_end(buffer, position)) is not None:
                plain.append(cipher.decrypt(self._next_nonce(), buffer[position + HEADER_SIZE : end], None))
                position = end
        except NoiseError:
            self._drop()
            raise
        except InvalidTag:
            self._drop()
            raise AuthenticationError("a record does not decrypt") from None
        self._buffer = bytes(buffer[position:])
        return plain[0] if len(plain) == 1 else b"".join(plain)

    def _next_nonce(self) -> bytes:
        if self._nonce >= _LAST_NONCE:
            raise NoiseError("the cipher is exhausted")
        nonce = _NONCE.pack(0, self._nonce)
        self._nonce += 1
        return nonce

    def _drop(self) -> None:
        self._key = None
        self._buffer = b""


def _frame_end(buffer: bytes, start: int) -> int | None:
    """Return where the frame at `start` ends, or None while it is incomplete; checks each header byte as it arrives."""
    have = len(buffer) - start
    if have == 0:
        return None
    if buffer[start] != TYPE_RECORD:
        raise MalformedMessageError("unexpected message type after the handshake")
    if have < HEADER_SIZE:
        return None
    length = int.from_bytes(buffer[start + 1 : start + 3], "big")
    if length > MAX_FRAME - HEADER_SIZE:
        raise MalformedMessageError("a record is too big")
    if length < TAG_SIZE:
        raise MalformedMessageError("a record is too small")
    return start + HEADER_SIZE + length if have >= HEADER_SIZE + length else None


class RecordSealer:
    """Seals records. The order of calls is the order on the wire; every sealed frame must be sent.

    Keeps the key, and a cipher object only while it is busy: an idle one would cost 2 KiB per connection, where making
    one costs about as much as sealing a short record.
    """

    __slots__ = ("_busy", "_cipher", "_key", "_nonce", "_seen")

    def __init__(self, key: bytes) -> None:
        self._key: bytes | None = key
        self._cipher: ChaCha20Poly1305 | None = None
        self._nonce = 0
        self._seen = 0
        self._busy = False

    def seal(self, data: bytes | Iterable[bytes | bytearray | memoryview]) -> bytes:
        """Seal one buffer, or several as if they were joined, in as few frames as possible.

        Raises:
            NoiseError: the counter is exhausted.
        """
        cipher = self._cipher
        if cipher is None:
            cipher = self._make()
        if isinstance(data, bytes) and 0 < (size := len(data)) <= MAX_PLAINTEXT and self._nonce < _LAST_NONCE:
            # The usual case: one delta for one client.
            sealed = cipher.encrypt(_NONCE.pack(0, self._nonce), data, None)
            self._nonce += 1
            return _HEAD.pack(TYPE_RECORD, size + TAG_SIZE) + sealed
        frames = []
        for plain in _cut([data] if isinstance(data, bytes) else data):
            if self._nonce >= _LAST_NONCE:
                self._cipher = self._key = None
                raise NoiseError("the cipher is exhausted")
            frames.append(_HEAD.pack(TYPE_RECORD, len(plain) + TAG_SIZE))
            frames.append(cipher.encrypt(_NONCE.pack(0, self._nonce), plain, None))
            self._nonce += 1
        return b"".join(frames)

    @property
    def records(self) -> int:
        """Number of records sealed so far."""
        return self._nonce

    def drop_idle_cipher(self) -> bool:
        """Keep the cipher from the second busy period in a row on, else drop it. Returns whether one was dropped.

        Called at an even pace, which defines the period.
        """
        busy = self._nonce - self._seen >= _BUSY
        self._seen = self._nonce
        keep, self._busy = busy and self._busy, busy
        if keep == (self._cipher is not None):
            return False
        self._cipher = self._make() if keep else None
        return not keep

    def _make(self) -> ChaCha20Poly1305:
        if self._key is None:
            raise NoiseError("the connection has failed before")
        return ChaCha20Poly1305(self._key)


def _cut(buffers: Iterable[bytes | bytearray | memoryview]) -> Iterator[bytes | memoryview]:
    """Cut buffers into plaintexts of at most one record each; copies only the bytes of records that span buffers."""
    parts: list[bytes | bytearray | memoryview] = []
    size = 0
    for buffer in buffers:
        if size + len(buffer) <= MAX_PLAINTEXT:
            parts.append(buffer)
            size += len(buffer)
            continue
        view = memoryview(buffer)
        while size + len(view) > MAX_PLAINTEXT:
            room = MAX_PLAINTEXT - size
            yield b"".join([*parts, view[:room]]) if parts else view[:room]
            parts, size, view = [], 0, view[room:]
        parts, size = [view], len(view)
    if size:
        yield b"".join(parts)
