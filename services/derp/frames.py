"""DERP frames: layout, size limits, and a reader for arbitrary slices of a stream. Knows no routing, socket or clock.

Every frame (Tailscale `derp/derp.go`):

    0  1  type
    1  4  payload length, big endian, these five bytes not counted
    5  n  payload

    type                to      payload
    0x01 ServerKey      client  magic 44 45 52 50 f0 9f 94 91 ("DERP" and a key sign), 32 server public key
    0x02 ClientInfo     server  32 node key, 24 nonce, box(JSON)
    0x03 ServerInfo     client  24 nonce, box(JSON)
    0x04 SendPacket     server  32 destination, packet
    0x05 RecvPacket     client  32 source, packet
    0x06 KeepAlive      client  empty
    0x07 NotePreferred  server  1: 01 this relay is home, 00 it is not
    0x08 PeerGone       client  32 node key, 1 reason
    0x09 PeerPresent    mesh    32 node key, 16 address (IPv4 mapped), 2 port, 1 flags
    0x0a ForwardPacket  server  32 source, 32 destination, packet (mesh only)
    0x10 WatchConns     server  empty (mesh only)
    0x11 ClosePeer      server  32 node key (mesh only)
    0x12 Ping           both    8 (a server takes up to 1000 and uses the first 8)
    0x13 Pong           both    8
    0x14 Health         client  UTF-8 text; empty means healthy again
    0x15 Restarting     client  4 reconnect in ms, 4 try for ms

SendPacket and RecvPacket have one layout, so a relay turns one into the other by overwriting 33 bytes in place.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

SERVER_KEY: Final = 0x01
CLIENT_INFO: Final = 0x02
SERVER_INFO: Final = 0x03
SEND_PACKET: Final = 0x04
RECV_PACKET: Final = 0x05
KEEP_ALIVE: Final = 0x06
NOTE_PREFERRED: Final = 0x07
PEER_GONE: Final = 0x08
PEER_PRESENT: Final = 0x09
FORWARD_PACKET: Final = 0x0A
WATCH_CONNS: Final = 0x10
CLOSE_PEER: Final = 0x11
PING: Final = 0x12
PONG: Final = 0x13
HEALTH: Final = 0x14
RESTARTING: Final = 0x15

PROTOCOL_VERSION: Final = 2
HEADER_SIZE: Final = 5
KEY_SIZE: Final = 32
MAGIC: Final = b"DERP\xf0\x9f\x94\x91"

MAX_PACKET: Final = 64 << 10
MAX_CLIENT_INFO: Final = 256 << 10
MAX_FRAME: Final = 1 << 20

GONE_DISCONNECTED: Final = 0x00
GONE_NOT_HERE: Final = 0x01

PRESENT_REGULAR: Final = 1
PRESENT_MESH: Final = 2
PRESENT_PROBER: Final = 4
PRESENT_NOT_IDEAL: Final = 8

DISCO_MAGIC: Final = b"TS\xf0\x9f\x92\xac"
DISCO_SIZE: Final = 6 + 32 + 24
"""Size of the prefix of every disco packet: magic, sender's disco key, nonce (`disco/disco.go`)."""

Bounds = Mapping[int, tuple[int, int]]
"""Smallest and largest payload, in bytes, by frame type accepted in one state of a connection."""

LOGIN_BOUNDS: Final[Bounds] = {CLIENT_INFO: (KEY_SIZE + 24 + 16, MAX_CLIENT_INFO)}
"""Frames that a server accepts before a client has logged in."""

SERVER_BOUNDS: Final[Bounds] = {
    SEND_PACKET: (KEY_SIZE, KEY_SIZE + MAX_PACKET),
    NOTE_PREFERRED: (1, 1),
    FORWARD_PACKET: (2 * KEY_SIZE, 2 * KEY_SIZE + MAX_PACKET),
    WATCH_CONNS: (0, 0),
    CLOSE_PEER: (KEY_SIZE, KEY_SIZE),
    PING: (8, 1000),
    PONG: (8, 1000),
}
"""Frames that a server accepts from a logged-in client."""

CLIENT_BOUNDS: Final[Bounds] = {
    SERVER_KEY: (len(MAGIC) + KEY_SIZE, 1024),
    SERVER_INFO: (24 + 16, MAX_PACKET),
    RECV_PACKET: (KEY_SIZE, KEY_SIZE + MAX_PACKET),
    KEEP_ALIVE: (0, 0),
    PEER_GONE: (KEY_SIZE, KEY_SIZE + 1),
    PEER_PRESENT: (KEY_SIZE, 1024),
    PING: (8, 1000),
    PONG: (8, 1000),
    HEALTH: (0, MAX_PACKET),
    RESTARTING: (8, 8),
}
"""Frames that a client accepts from a server."""

_HEADER = struct.Struct(">BI")
_NOTHING = memoryview(b"")
_OWN_BUFFER_FROM = 8 << 10
SCRATCH_SIZE: Final = 256 << 10


class FrameError(Exception):
    """The peer violated the framing; the connection must be closed. The text contains none of its bytes."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole frame, copied out of the reader."""

    kind: int
    payload: bytes

    def encode(self) -> bytes:
        """Return the bytes of the frame."""
        return frame(self.kind, self.payload)


class FrameReader:
    """Cuts a byte stream into frames.

    Input arrives in two ways: `receive` takes bytes, and `space`/`filled` let a socket read directly into a scratch
    buffer that many readers may share, because no reader keeps data there once `advance` has returned None. A large
    incomplete frame gets a buffer of its own size, so that its bytes are copied once.
    """

    __slots__ = (
        "_end",
        "_given",
        "_have",
        "_position",
        "_scratch",
        "_skip",
        "_tail",
        "_whole",
        "bounds",
        "strict",
        "view",
    )

    def __init__(self, bounds: Bounds, *, strict: bool = False, scratch: memoryview | None = None) -> None:
        """Read frames within `bounds`; other types are skipped, or refused when `strict`."""
        self.bounds = bounds
        self.strict = strict
        self._scratch = scratch
        self.view = _NOTHING
        self._position = 0
        self._end = 0
        self._skip = 0
        self._tail = b""
        self._given = 0
        self._whole: bytearray | None = None
        self._have = 0

    def receive(self, data: bytes) -> None:
        """Add bytes; then call `advance` until it returns None."""
        if self._whole is not None:
            room = len(self._whole) - self._have
            self._whole[self._have : self._have + len(data)] = data[:room]
            self._have += min(room, len(data))
            if self._have < len(self._whole):
                return
            data = bytes(self._whole) + data[room:]
            self._whole = None
            self._load(memoryview(bytearray(data)))
            return
        self._load(memoryview(bytearray(self._tail + data)))

    def space(self) -> memoryview:
        """Return the buffer for the next bytes; never empty, valid until `filled`."""
        if self._whole is not None:
            return memoryview(self._whole)[self._have :]
        if self._scratch is None:
            self._scratch = memoryview(bytearray(SCRATCH_SIZE))
        if not self._tail:
            self._given = 0
            return self._scratch
        self._given = len(self._tail)
        self._scratch[: self._given] = self._tail
        return self._scratch[self._given :]

    def filled(self, count: int) -> None:
        """Accept `count` bytes written to `space`; then call `advance` until it returns None."""
        if self._whole is not None:
            self._have += count
            if self._have == len(self._whole):
                whole, self._whole = self._whole, None
                self._load(memoryview(whole))
            return
        assert self._scratch is not None
        self._tail, self.view = b"", self._scratch
        self._position, self._end = 0, self._given + count

    def advance(self) -> tuple[int, int, int] | None:
        """Return the next whole frame as (type, start, end) of its payload in `view`, or None if more bytes are needed.

        Raises:
            FrameError: a frame is too large or too small for its type, or is not for this side now.
        """
        view, position, end = self.view, self._position, self._end
        while True:
            if self._skip:
                passed = min(self._skip, end - position)
                self._skip -= passed
                position += passed
            if end - position < HEADER_SIZE:
                self._position = position
                self.hold()
                return None
            kind, size = _HEADER.unpack_from(view, position)
            bound = self.bounds.get(kind)
            if bound is None:
                if self.strict:
                    raise FrameError(f"frame type 0x{kind:02x} is not expected now")
                if size > MAX_FRAME:
                    raise FrameError("frame is longer than 1 MiB")
                position += HEADER_SIZE
                self._skip = size
                continue
            if not bound[0] <= size <= bound[1]:
                raise FrameError(f"frame type 0x{kind:02x} has a payload of {size} bytes")
            start = position + HEADER_SIZE
            if start + size > end:
                self._position = position
                self.hold()
                self._make_room(HEADER_SIZE + size)
                return None
            self._position = start + size
            return kind, start, start + size

    def hold(self) -> None:
        """Keep unread bytes and release the buffer; `receive(b"")` continues from here."""
        self._tail = bytes(self.view[self._position : self._end]) if self._position < self._end else b""
        self.view = _NOTHING
        self._position = self._end = 0

    def frames(self, data: bytes) -> Iterator[Frame]:
        """Add bytes and yield a copy of every frame that they complete."""
        self.receive(data)
        while (found := self.advance()) is not None:
            kind, start, end = found
            yield Frame(kind, bytes(self.view[start:end]))

    @property
    def buffered(self) -> int:
        """Return the number of buffered bytes of an incomplete frame."""
        return self._have if self._whole is not None else len(self._tail)

    def _load(self, view: memoryview) -> None:
        self._tail = b""
        self.view, self._position, self._end = view, 0, len(view)

    def _make_room(self, size: int) -> None:
        if len(self._tail) < _OWN_BUFFER_FROM:
            return
        self._whole = bytearray(size)
        self._have = len(self._tail)
        self._whole[: self._have] = self._tail
        self._tail = b""


def header(kind: int, size: int) -> bytes:
    """Return the five-byte header of a payload of `size` bytes."""
    return _HEADER.pack(kind, size)


def frame(kind: int, payload: bytes = b"") -> bytes:
    """Return a whole frame."""
    return _HEADER.pack(kind, len(payload)) + payload


def is_disco(packet: bytes | memoryview) -> bool:
    """Return whether a packet has the length and the magic of a disco message."""
    return len(packet) >= DISCO_SIZE and packet[:6] == DISCO_MAGIC


KEEP_ALIVE_FRAME: Final = frame(KEEP_ALIVE)
WATCH_CONNS_FRAME: Final = frame(WATCH_CONNS)


def send_packet(destination: bytes, packet: bytes) -> bytes:
    """Return a SendPacket frame, with which a client sends a packet."""
    return _HEADER.pack(SEND_PACKET, KEY_SIZE + len(packet)) + destination + packet


def recv_packet(source: bytes, packet: bytes) -> bytes:
    """Return a RecvPacket frame, which delivers a packet."""
    return _HEADER.pack(RECV_PACKET, KEY_SIZE + len(packet)) + source + packet


def forward_packet(source: bytes, destination: bytes, packet: bytes) -> bytes:
    """Return a ForwardPacket frame, from one relay to the relay of the destination."""
    return _HEADER.pack(FORWARD_PACKET, 2 * KEY_SIZE + len(packet)) + source + destination + packet


def peer_gone(key: bytes, reason: int) -> bytes:
    """Return a PeerGone frame, always with a reason: the Rust client refuses the short form."""
    return _HEADER.pack(PEER_GONE, KEY_SIZE + 1) + key + bytes((reason,))


def peer_present(key: bytes, address: tuple[str, int], flags: int) -> bytes:
    """Return a PeerPresent frame: a client's key, source address (zeros if it is not an IP address) and flags."""
    return _HEADER.pack(PEER_PRESENT, KEY_SIZE + 19) + key + _mapped(address[0]) + struct.pack(">HB", address[1], flags)


def note_preferred(home: bool) -> bytes:
    """Return a NotePreferred frame: whether this relay is the client's home."""
    return frame(NOTE_PREFERRED, b"\x01" if home else b"\x00")


def restarting(reconnect_in_ms: int, try_for_ms: int) -> bytes:
    """Return a Restarting frame: the reconnect delay, and how long to try, both in milliseconds."""
    return frame(RESTARTING, struct.pack(">II", reconnect_in_ms, try_for_ms))


def _mapped(host: str) -> bytes:
    try:
        ip = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return bytes(16)
    return bytes(10) + b"\xff\xff" + ip.packed if ip.version == 4 else ip.packed
