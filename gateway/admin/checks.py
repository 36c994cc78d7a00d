"""The chain's step `parameters`: limits for every call on lengths, counts, control characters, times, ids.

The services check what a parameter means (a name, a route). Texts begin with the parameter's name in the contract.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.admin.refusal import invalid

MAX_TEXT = 2048
MAX_ITEMS = 2048
MAX_ID = (1 << 63) - 1
LONG = frozenset({"policy", "text"})
"""Documents."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_LAST_YEAR = 9998


def check(request: Message) -> None:
    """Check every parameter that is set.

    Raises:
        Refused: one of them is out of bounds.
    """
    for field, value in request.ListFields():
        if isinstance(value, Timestamp):
            _check_time(field.name, value)
        elif isinstance(value, Message):
            check(value)
        elif field.is_repeated:
            _check_items(field.name, value)
        elif field.type == FieldDescriptor.TYPE_STRING:
            check_text(field.name, value)
        elif field.type == FieldDescriptor.TYPE_UINT64 and value > MAX_ID:
            raise invalid(field.name, "larger than any id")


def _check_items(name: str, items: Sequence[object]) -> None:
    if len(items) > MAX_ITEMS:
        raise invalid(name, f"more than {MAX_ITEMS} items")
    for number, item in enumerate(items):
        if isinstance(item, str):
            check_text(f"{name}[{number}]", item)
        elif isinstance(item, Message):
            check(item)


def check_text(name: str, value: str) -> None:
    """Check a text.

    Raises:
        Refused: it is too long or has control characters; a policy only must not have NUL.
    """
    if name in LONG:
        if "\0" in value:
            raise invalid(name, "has a NUL character")
        return
    if len(value) > MAX_TEXT:
        raise invalid(name, f"longer than {MAX_TEXT} characters")
    if _CONTROL.search(value):
        raise invalid(name, "has control characters")


def _check_time(name: str, value: Timestamp) -> None:
    try:
        if not 0 <= value.nanos < 1_000_000_000 or value.ToDatetime(tzinfo=UTC).year > _LAST_YEAR:
            raise ValueError
    except (ValueError, OverflowError):
        raise invalid(name, "not a time between the years 1 and 9998") from None
