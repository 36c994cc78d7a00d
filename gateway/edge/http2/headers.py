"""Header blocks: decodes those of requests, encodes those of answers without any state. Knows no stream.

Answers use only the static table and literals without indexing (RFC 7541 section 6.2.2), so a connection keeps no
encoder and equal answers are equal bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from hpack import Decoder, HPACKError

from gateway.edge.http2.errors import ErrorCode, ProtocolError

Headers = list[tuple[bytes, bytes]]

_STATUS_INDEX = {200: 8, 204: 9, 206: 10, 304: 11, 400: 12, 404: 13, 500: 14}
_STATUS_NAME, _CONTENT_LENGTH_NAME, _CONTENT_TYPE_NAME = 8, 28, 31
_PSEUDO = (b":method", b":scheme", b":path", b":authority")
_HOP_BY_HOP = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))
_TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
_BAD_IN_VALUE = (0, 10, 13)
_SIZE_UPDATE = 0x20
MAX_SIZE_UPDATES = 2
"""Dynamic table size updates in one block: the smallest and the final size since the last (RFC 7541 section 4.2)."""


class MalformedRequestError(Exception):
    """The header list decodes but is not that of a request; this ends the stream only."""


@dataclass(frozen=True, slots=True)
class RequestHead:
    """A checked header list of a request (RFC 9113 sections 8.2 and 8.3)."""

    method: str
    target: str
    authority: str
    headers: tuple[tuple[str, str], ...]
    content_length: int | None


def decode_block(decoder: Decoder, block: bytes) -> Headers:
    """Decode a whole header block.

    Raises:
        ProtocolError: the block is malformed, resizes the table too often or expands too far; the compression state
            shared with the peer is lost.
    """
    if _exceeds_size_updates(block):
        raise ProtocolError(ErrorCode.COMPRESSION_ERROR, "too many table size updates in a header block")
    try:
        return [(name, value) for name, value in decoder.decode(block, raw=True)]
    except (HPACKError, IndexError, ValueError, TypeError):
        raise ProtocolError(ErrorCode.COMPRESSION_ERROR, "a header block that does not decode") from None


def _exceeds_size_updates(block: bytes) -> bool:
    """Return whether a block begins with more size updates than an encoder may send.

    Each one walks the whole dynamic table, so a block of nothing else would cost 400 ns a byte. Later in a block the
    decoder refuses them.
    """
    position = 0
    for _ in range(MAX_SIZE_UPDATES + 1):
        if position >= len(block) or block[position] & 0xE0 != _SIZE_UPDATE:
            return False
        if block[position] & 0x1F == 0x1F:
            # The value continues in following bytes, each but the last with its top bit set (RFC 7541 section 5.1).
            position += 1
            while position < len(block) and block[position] & 0x80:
                position += 1
        position += 1
    return True


def list_size(headers: Headers) -> int:
    """Return the size that SETTINGS_MAX_HEADER_LIST_SIZE bounds (RFC 9113 section 6.5.2)."""
    return sum(len(name) + len(value) + 32 for name, value in headers)


def check_trailers(headers: Headers) -> None:
    """Check trailers, which are otherwise ignored.

    Raises:
        MalformedRequestError: there are pseudo-headers or invalid names among them.
    """
    for name, value in headers:
        _check_field(name, value)


def parse_request(headers: Headers) -> RequestHead:
    """Parse and check the header list of a request.

    Raises:
        MalformedRequestError: it is not that of a request.
    """
    pseudo: dict[bytes, bytes] = {}
    fields: list[tuple[str, str]] = []
    content_length: int | None = None
    try:
        for name, value in headers:
            if name[:1] == b":":
                if fields or name not in _PSEUDO or name in pseudo:
                    raise MalformedRequestError("pseudo-headers out of place")
                pseudo[name] = value
                continue
            _check_field(name, value)
            if name == b"content-length":
                content_length = _read_length(value, content_length)
            fields.append((name.decode("ascii"), value.decode()))
        method, target = pseudo[b":method"].decode("ascii"), pseudo[b":path"].decode("ascii")
        authority = pseudo.get(b":authority", b"").decode("ascii")
    except (KeyError, UnicodeDecodeError):
        raise MalformedRequestError("pseudo-headers missing or not text") from None
    if not method.isalpha() or not pseudo.get(b":scheme") or not target.isprintable():
        raise MalformedRequestError("pseudo-headers with bad values")
    if not target.startswith("/") and not (method == "OPTIONS" and target == "*"):
        raise MalformedRequestError("not a path")
    return RequestHead(method, target, authority, tuple(fields), content_length)


def _check_field(name: bytes, value: bytes) -> None:
    if not name or not _TOKEN.issuperset(name) or name in _HOP_BY_HOP:
        raise MalformedRequestError("a bad field name")
    if any(byte in value for byte in _BAD_IN_VALUE) or (name == b"te" and value != b"trailers"):
        raise MalformedRequestError("a bad field value")


def _read_length(value: bytes, before: int | None) -> int:
    if not value.isdigit() or len(value) > 18 or before not in (None, int(value)):
        raise MalformedRequestError("a bad content-length")
    return int(value)


def encode_response(
    status: int, content_type: str | None, content_length: int | None, extra: Sequence[tuple[str, str]] = ()
) -> bytes:
    """Encode the header block of an answer.

    Raises:
        ValueError: a header cannot be sent.
    """
    block = _head(status, content_type)
    if content_length is not None:
        block += _literal(_CONTENT_LENGTH_NAME, b"%d" % content_length)
    return block + b"".join(_named(extra)) if extra else block


@lru_cache(maxsize=128)
def _head(status: int, content_type: str | None) -> bytes:
    index = _STATUS_INDEX.get(status)
    block = bytes([0x80 | index]) if index is not None else _literal(_STATUS_NAME, b"%03d" % status)
    return block if content_type is None else block + _literal(_CONTENT_TYPE_NAME, content_type.encode("ascii"))


def _named(headers: Iterable[tuple[str, str]]) -> Iterable[bytes]:
    for name, value in headers:
        raw_name, raw_value = name.encode("ascii"), value.encode("ascii")
        if not _TOKEN.issuperset(raw_name) or any(byte in raw_value for byte in _BAD_IN_VALUE):
            raise ValueError("a header that cannot be sent")
        yield b"\x00" + _integer(len(raw_name), 7) + raw_name + _integer(len(raw_value), 7) + raw_value


def _literal(name_index: int, value: bytes) -> bytes:
    return _integer(name_index, 4) + _integer(len(value), 7) + value


def _integer(value: int, prefix_bits: int) -> bytes:
    """RFC 7541 section 5.1, the bits above the prefix zero."""
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes([value])
    out, value = [limit], value - limit
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
