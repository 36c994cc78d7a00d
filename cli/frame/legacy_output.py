"""The data of Headscale's command line up to 0.29, for scripts that read it: Go's own encoding of the messages.

JSON has the names of the contract, numbers as numbers, times as seconds and nanoseconds, and leaves out what is zero.
YAML has the names of Go's fields in lower case, and leaves nothing out.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message


def shape(message: Message, *, yaml: bool) -> Any:
    """A message as those versions printed it."""
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
