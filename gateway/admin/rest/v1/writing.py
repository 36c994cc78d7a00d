"""Writes messages of the contract as JSON, in the shape that Headscale's clients read.

Protobuf's JSON with unpopulated fields emitted: camelCase, 64-bit numbers as text, times in RFC 3339, null for a
message that is not there, enumerators by name.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.admin.json_names import json_name


def document(message: Message) -> dict[str, object]:
    """Return a message as JSON values."""
    return {json_name(field.name): _value(message, field) for field in message.DESCRIPTOR.fields}


def _value(message: Message, field: Any) -> object:
    value: Any = getattr(message, field.name)
    if field.is_repeated:
        return [document(item) if isinstance(item, Message) else item for item in value]
    if field.message_type is not None:
        if not message.HasField(field.name):
            return None
        return value.ToJsonString() if isinstance(value, Timestamp) else document(value)
    if field.type == FieldDescriptor.TYPE_UINT64:
        return str(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known is not None else value
    return value
