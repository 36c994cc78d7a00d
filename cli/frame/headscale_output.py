"""Headscale 0.29's data shape of a message: Go's own encoding of the generated structs. Prints nothing itself.

JSON has the field names of the proto, numbers as numbers, times as seconds and nanoseconds, and no member for a zero
value. YAML has the names of Go's struct fields in lower case, and every member.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

_PACKAGE = "headscale."


def is_headscale(message: Message) -> bool:
    """Return whether Headscale has this message, and therefore prints it in its own shape."""
    return str(message.DESCRIPTOR.full_name).startswith(_PACKAGE)


def shape(message: Message, *, yaml: bool) -> dict[str, Any]:
    """Return a message as Headscale 0.29 encodes it for `-o json`, or for `-o yaml`."""
    shown: dict[str, Any] = {}
    for field in message.DESCRIPTOR.fields:
        value = _value(message, field, yaml)
        if yaml:
            shown[field.name.replace("_", "")] = value
        elif value or isinstance(value, dict):
            shown[field.name] = value
    return shown


def _value(message: Message, field: Any, yaml: bool) -> Any:
    value = getattr(message, field.name)
    whole = field.type == FieldDescriptor.TYPE_MESSAGE
    if field.is_repeated:
        return [shape(item, yaml=yaml) if whole else item for item in value]
    if whole:
        return shape(value, yaml=yaml) if message.HasField(field.name) else None
    return value
