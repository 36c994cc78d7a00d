"""STUN as Tailscale clients use it (`net/stun/stun.go`): one request, one response. Sans-IO.

Request, 40 bytes:

    0  2  00 01  binding request
    2  2  00 14  length of what follows the 20-byte head
    4  4  21 12 a4 42  magic cookie
    8 12  transaction id
   20  4  80 22 00 08, then 8 bytes "tailnode"   SOFTWARE
   32  4  80 28 00 04, then 4 bytes              FINGERPRINT: CRC-32 of all before, XOR 5354554e

Answer: 01 01, length, cookie, transaction id, 00 20, length, 00, family, port ^ 2112, address ^ (cookie, id).

Strict on purpose: anything that is not this request gets no answer, so the port is no open STUN server and gives a
forger of source addresses nothing (the answer over IPv4 is shorter than the request).
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

COOKIE: Final = b"\x21\x12\xa4\x42"
SOFTWARE: Final = b"tailnode"
MAX_REQUEST: Final = 1500

_BINDING_REQUEST = b"\x00\x01"
_SOFTWARE_ATTRIBUTE = 0x8022
_FINGERPRINT_ATTRIBUTE = 0x8028
_FINGERPRINT_HEAD = b"\x80\x28\x00\x04"
_FINGERPRINT_XOR = 0x5354554E
_HEAD_SIZE = 20
_FINGERPRINT_SIZE = 8

_USUAL = struct.Struct(">8s12s16sI")
_USUAL_HEAD = _BINDING_REQUEST + b"\x00\x14" + COOKIE
_USUAL_REST = b"\x80\x22\x00\x08" + SOFTWARE + _FINGERPRINT_HEAD

_COOKIE_NUMBER = int.from_bytes(COOKIE)
_PORT_MASK = 0x2112
_MAPPED = bytes(10) + b"\xff\xff"
_ANSWER_V4 = struct.Struct(">8s12sIBBHI")
_ANSWER_V4_HEAD = b"\x01\x01\x00\x0c" + COOKIE
_ANSWER_V6 = struct.Struct(">8s12sIBBH16s")
_ANSWER_V6_HEAD = b"\x01\x01\x00\x18" + COOKIE


def read_request(data: bytes) -> bytes | None:
    """Return the transaction id (12 bytes) of a well-formed request of a Tailscale client, or None.

    The usual 40 bytes are compared directly; other orders and paddings of attributes are parsed.
    """
    size = len(data)
    if size == _USUAL.size:
        head, transaction, rest, fingerprint = _USUAL.unpack(data)
        if head == _USUAL_HEAD and rest == _USUAL_REST:
            return transaction if fingerprint == zlib.crc32(data[:-_FINGERPRINT_SIZE]) ^ _FINGERPRINT_XOR else None
    if size < _HEAD_SIZE + _FINGERPRINT_SIZE or size > MAX_REQUEST:
        return None
    if data[:2] != _BINDING_REQUEST or data[4:8] != COOKIE or int.from_bytes(data[2:4]) != size - _HEAD_SIZE:
        return None
    body = size - _FINGERPRINT_SIZE
    if data[body : body + 4] != _FINGERPRINT_HEAD:
        return None
    if int.from_bytes(data[body + 4 :]) != zlib.crc32(data[:body]) ^ _FINGERPRINT_XOR:
        return None
    return data[8:20] if _is_of_tailscale(data, body) else None


def _is_of_tailscale(data: bytes, end: int) -> bool:
    position, found = _HEAD_SIZE, False
    while position + 4 <= end:
        kind, length = struct.unpack_from(">HH", data, position)
        position += 4
        if position + length > end or kind == _FINGERPRINT_ATTRIBUTE:
            return False
        if kind == _SOFTWARE_ATTRIBUTE:
            found = data[position : position + length] == SOFTWARE
        position += (length + 3) & ~3
    return found and position == end


def write_answer(transaction: bytes, address: bytes, port: int) -> bytes:
    """Return the binding success with a client's address of 4 or 16 bytes; a mapped IPv4 is unmapped first."""
    if len(address) == 4 or address.startswith(_MAPPED):
        hidden_v4 = int.from_bytes(address[-4:]) ^ _COOKIE_NUMBER
        return _ANSWER_V4.pack(_ANSWER_V4_HEAD, transaction, 0x00200008, 0, 1, port ^ _PORT_MASK, hidden_v4)
    hidden = (int.from_bytes(address) ^ int.from_bytes(COOKIE + transaction)).to_bytes(16)
    return _ANSWER_V6.pack(_ANSWER_V6_HEAD, transaction, 0x00200014, 0, 2, port ^ _PORT_MASK, hidden)


def answer(data: bytes, address: bytes, port: int) -> bytes | None:
    """Return the response to a datagram from an address, or None if it gets no response."""
    transaction = read_request(data)
    return None if transaction is None else write_answer(transaction, address, port)


def write_request(transaction: bytes) -> bytes:
    """Return the binding request that a client sends; for our own probes and tests."""
    body = _USUAL_HEAD + transaction + _USUAL_REST[: -len(_FINGERPRINT_HEAD)]
    return body + _FINGERPRINT_HEAD + struct.pack(">I", zlib.crc32(body) ^ _FINGERPRINT_XOR)
