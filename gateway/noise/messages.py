"""The byte layout of every message of the Noise layer. Knows no cryptography.

All integers are big-endian (Tailscale `control/controlbase/messages.go`).

Initiation, client to server, 101 bytes; it travels in the header `X-Tailscale-Handshake`:

     0  2  protocol version = the client's capability version
     2  1  type 0x01
     3  2  length 96
     5 32  client ephemeral public key, clear
    37 48  machine public key, sealed (32 + 16 tag)
    85 16  tag over nothing

Response, server to client, 51 bytes:

     0  1  type 0x02
     1  2  length 48
     3 32  server ephemeral public key, clear
    35 16  tag over nothing

Error, server to client instead of a response; a hint that nothing proves:

     0  1  type 0x03
     1  2  length N
     3  N  text

Record, both ways after the handshake:

     0  1  type 0x04
     1  2  length N = plaintext + 16
     3  N  ChaCha20-Poly1305 ciphertext and tag, no associated data
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from gateway.noise.errors import MalformedMessageError

TYPE_INITIATION = 1
TYPE_RESPONSE = 2
TYPE_ERROR = 3
TYPE_RECORD = 4

TAG_SIZE = 16
HEADER_SIZE = 3
INITIATION_SIZE = 101
RESPONSE_SIZE = 51

MAX_FRAME = 4096
"""Whole frame on the wire. Clients drop the connection for good above it (`controlbase/conn.go` maxMessageSize)."""
MAX_PLAINTEXT = MAX_FRAME - HEADER_SIZE - TAG_SIZE

_INITIATION_HEAD = struct.Struct(">HBH")
_HEAD = struct.Struct(">BH")


@dataclass(frozen=True, slots=True)
class Initiation:
    """The client's first message, cut into its fields; nothing in it is proven yet."""

    version: int
    ephemeral: bytes
    sealed_machine_key: bytes
    tag: bytes

    @classmethod
    def parse(cls, message: bytes) -> Initiation:
        """Cut a message of the wire.

        Raises:
            MalformedMessageError: another size, type or length.
        """
        if len(message) != INITIATION_SIZE:
            raise MalformedMessageError("wrong handshake initiation size")
        version, kind, length = _INITIATION_HEAD.unpack_from(message)
        if kind != TYPE_INITIATION:
            raise MalformedMessageError("wrong handshake message type")
        if length != INITIATION_SIZE - _INITIATION_HEAD.size:
            raise MalformedMessageError("wrong handshake initiation length")
        return cls(version, message[5:37], message[37:85], message[85:101])

    def encode(self) -> bytes:
        """Encode the initiation in its 101 bytes."""
        head = _INITIATION_HEAD.pack(self.version, TYPE_INITIATION, INITIATION_SIZE - _INITIATION_HEAD.size)
        return head + self.ephemeral + self.sealed_machine_key + self.tag


def encode_response(ephemeral: bytes, tag: bytes) -> bytes:
    """Return the 51 bytes that answer an initiation."""
    return _HEAD.pack(TYPE_RESPONSE, RESPONSE_SIZE - HEADER_SIZE) + ephemeral + tag


def parse_response(message: bytes) -> tuple[bytes, bytes]:
    """Return the server's ephemeral public key and its tag.

    Raises:
        MalformedMessageError: another size, type or length.
    """
    if len(message) != RESPONSE_SIZE or _HEAD.unpack_from(message) != (TYPE_RESPONSE, RESPONSE_SIZE - HEADER_SIZE):
        raise MalformedMessageError("wrong handshake response")
    return message[3:35], message[35:51]


def error_frame(text: str) -> bytes:
    """Return a refusal that the client shows as `server error: "text"`."""
    payload = text.encode()[: MAX_FRAME - HEADER_SIZE]
    return _HEAD.pack(TYPE_ERROR, len(payload)) + payload


def parse_error_frame(message: bytes) -> str:
    """Return the text of a refusal.

    Raises:
        MalformedMessageError: not a whole error frame.
    """
    if len(message) < HEADER_SIZE or message[0] != TYPE_ERROR:
        raise MalformedMessageError("not an error frame")
    if len(message) != HEADER_SIZE + int.from_bytes(message[1:3], "big"):
        raise MalformedMessageError("wrong error frame length")
    return message[HEADER_SIZE:].decode(errors="replace")
