"""Requests of command lines before 0.28, recognised by wire type.

Releases gave the same field numbers other types, so the fields of an older client are among the unknown fields of
today's messages (answers have today's shape only):

    RenameUser, DeleteUser     field 1 text: a name      (until 0.23; since then an id)
    CreatePreAuthKey           field 1 text: a name      (until 0.25)
    ListPreAuthKeys            field 1 text or number    (until 0.27; since then there is none)
    ExpirePreAuthKey           field 1 text or number: the user, field 2 text: the key    (until 0.27)
"""

from __future__ import annotations

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

_VARINT, _DELIMITED = 0, 2


def text(request: Message, number: int) -> str | None:
    """Return the text of a field that has another type today, or does not exist; None: not sent."""
    value = _last(request, number, _DELIMITED)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else None


def integer(request: Message, number: int) -> int | None:
    """Return the number of a field that has another type today, or does not exist; None: not sent."""
    value = _last(request, number, _VARINT)
    return value if isinstance(value, int) else None


def encoded(texts: dict[int, str]) -> bytes:
    """Encode a message of text fields as an older client does."""
    data = b""
    for number, value in texts.items():
        raw = value.encode("utf-8", "replace")
        data += _varint(number << 3 | _DELIMITED) + _varint(len(raw)) + raw
    return data


def _last(request: Message, number: int, wire_type: int) -> object:
    found: object = None
    fields = UnknownFieldSet(request)
    for index in range(len(fields)):
        field = fields[index]
        if field.field_number == number and field.wire_type == wire_type:
            found = field.data
    return found


def _varint(value: int) -> bytes:
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)
