"""Reads HTTP requests into messages of the contract. A refusal names its parameter; unknown parameters are ignored.

Bodies are protobuf's JSON: both spellings of a name, null for "not given", 64-bit numbers as text or number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.admin.calls import legacy_requests
from gateway.admin.json_names import json_name
from gateway.admin.refusal import invalid

MAX_UINT32 = (1 << 32) - 1
MAX_UINT64 = (1 << 64) - 1
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_OLDER_NAMES: Mapping[tuple[str, str], int] = {
    ("RenameUserRequest", "old_id"): 1,
    ("DeleteUserRequest", "id"): 1,
    ("CreatePreAuthKeyRequest", "user"): 1,
}
"""Fields that were a name before they became an id, by their number."""


def read_body(raw: bytes) -> Mapping[str, object]:
    """Return the members of a JSON body; an empty one has none.

    Raises:
        Refused: it is not a JSON object.
    """
    if not raw.strip():
        return {}
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise invalid("body", "not JSON") from None
    if not isinstance(document, dict):
        raise invalid("body", "not a JSON object")
    return document


def read_request(
    kind: Descriptor, body: Mapping[str, object], query: Iterable[tuple[str, str]], path: Mapping[str, str]
) -> Message:
    """Build a request from body, query and path.

    Raises:
        Refused: a parameter has the wrong type.
    """
    request: Any = GetMessageClass(kind)()
    given: dict[str, object] = {}
    for field in kind.fields:
        for name in (json_name(field.name), field.name):
            if name in body:
                given[field.name] = _of_json(field, body[name])
    pairs = tuple(query)
    for field in kind.fields:
        texts = [text for name, text in pairs if name in (json_name(field.name), field.name)]
        if texts:
            given[field.name] = _of_texts(field, texts)
        if field.name in path:
            given[field.name] = _of_texts(field, [path[field.name]])
    for name, value in given.items():
        _put(request, name, value)
    if kind.name == "ExpirePreAuthKeyRequest" and not given.get("id") and "key" in body:
        _put_older_key(request, body)
    return request  # type: ignore[no-any-return]


def read_bool(name: str, text: str) -> bool:
    """Read a truth value in the spellings that Go accepts.

    Raises:
        Refused: it is not one.
    """
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise invalid(name, "not true or false")


def read_number(name: str, text: str) -> int:
    """Read an unsigned 64-bit number.

    Raises:
        Refused: it is not one.
    """
    if text.isascii() and text.isdigit() and len(text) <= 20 and int(text) <= MAX_UINT64:
        return int(text)
    raise invalid(name, "not a whole number from 0 to 18446744073709551615")


def _put(request: Any, name: str, value: object) -> None:
    if value is None:
        return
    if isinstance(value, _Name):
        request.MergeFromString(legacy_requests.encoded({value.number: value.text}))
    elif isinstance(value, Timestamp):
        getattr(request, name).CopyFrom(value)
    elif isinstance(value, list):
        getattr(request, name).extend(value)
    else:
        setattr(request, name, value)


def _put_older_key(request: Any, body: Mapping[str, object]) -> None:
    texts = {2: _text("key", body["key"])}
    user = body.get("user")
    if isinstance(user, str) and user.isascii() and user.isdigit():
        request.id = read_number("user", user)
    elif user is not None:
        texts[1] = _text("user", user)
    request.MergeFromString(legacy_requests.encoded(texts))


class _Name:
    """A name where today's contract has an id."""

    def __init__(self, number: int, text: str) -> None:
        self.number, self.text = number, text


def _of_texts(field: FieldDescriptor, texts: list[str]) -> object:
    name = json_name(field.name)
    if field.is_repeated:
        return texts
    if len(texts) > 1:
        raise invalid(name, "given more than once")
    text = texts[0]
    if field.type == FieldDescriptor.TYPE_UINT64:
        return _number_or_name(field, name, text)
    if field.type == FieldDescriptor.TYPE_UINT32:
        number = read_number(name, text)
        if number > MAX_UINT32:
            raise invalid(name, f"more than {MAX_UINT32}")
        return number
    if field.type == FieldDescriptor.TYPE_BOOL:
        return read_bool(name, text)
    return _time(name, text) if field.message_type is not None else text


def _of_json(field: FieldDescriptor, value: object) -> object:
    name = json_name(field.name)
    if value is None:
        return None
    if field.is_repeated:
        if not isinstance(value, list):
            raise invalid(name, "not a list")
        return [_text(f"{name}[{number}]", item) for number, item in enumerate(value)]
    if field.type == FieldDescriptor.TYPE_UINT64:
        return _number(field, name, value)
    if field.type == FieldDescriptor.TYPE_BOOL:
        if not isinstance(value, bool):
            raise invalid(name, "not true or false")
        return value
    text = _text(name, value)
    return _time(name, text) if field.message_type is not None else text


def _number(field: FieldDescriptor, name: str, value: object) -> object:
    if isinstance(value, str):
        return _number_or_name(field, name, value)
    if isinstance(value, float) and value.is_integer() and 0 <= value < 1 << 53:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid(name, "not a number, nor text of digits")
    return read_number(name, str(value))


def _number_or_name(field: FieldDescriptor, name: str, text: str) -> object:
    kind = field.containing_type
    number = _OLDER_NAMES.get((kind.name, field.name)) if kind is not None else None
    if number is None or not text or (text.isascii() and text.isdigit()):
        return read_number(name, text)
    return _Name(number, text)


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise invalid(name, "not a text")
    return value


def _time(name: str, text: str) -> Timestamp:
    stamp = Timestamp()
    try:
        stamp.FromJsonString(text)
    except (ValueError, OverflowError):
        raise invalid(name, "not a time such as 2030-01-31T12:00:00Z") from None
    return stamp
