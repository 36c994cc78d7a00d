"""The operations of /api/v2 about posture attributes: all of a device are read, custom ones are set and removed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from smartscale.admin.v1 import device_pb2 as pb
from smartscale.types.v1 import node_pb2 as types
from starlette.responses import Response

from gateway.admin.refusal import invalid
from gateway.admin.rest.v2.device import NEVER, time_text
from gateway.admin.rest.v2.devices import find_device
from gateway.admin.rest.v2.operation import Operation, Question, answered, object_member, optional_text
from services.shared.inventory import attribute_value, posture_attributes

_DEVICES = "smartscale.admin.v1.DeviceAdminService."
_FLAGS = frozenset({"node:tsAutoUpdate", "node:tsStateEncrypted"})
_WORDS = {"true": True, "false": False}
_TIME = "not a time as in 2026-01-02T03:04:05Z"


def _shown(node: types.Node) -> dict[str, Any]:
    found: dict[str, Any] = dict(posture_attributes(node.hostinfo))
    found.update({name: _WORDS[found[name]] for name in _FLAGS if name in found})
    for one in node.custom_attributes:
        found[one.key] = attribute_value(one)
    expiries = {one.key: time_text(one.expiry) for one in node.custom_attributes if one.HasField("expiry")}
    return {"attributes": found, "expiries": expiries}


async def _get(question: Question) -> Response:
    return answered(_shown((await find_device(question)).node))


async def _set(question: Question) -> Response:
    body = await question.body()
    if body.get("value") is None:
        raise invalid("value", "missing")
    attribute = _attribute(question.path["attribute"], body)
    attribute.comment = optional_text(body, "comment") or ""
    return answered(_shown(await _change(question, attribute)))


async def _delete(question: Question) -> Response:
    await _change(question, types.CustomAttribute(key=question.path["attribute"]))
    return answered({})


async def _change(question: Question, attribute: types.CustomAttribute) -> types.Node:
    request = pb.SetDeviceAttributesRequest(device=question.path["device"], attributes=[attribute])
    node: types.Node = (await question.ask(_DEVICES + "SetDeviceAttributes", request)).node
    return node


async def _batch(question: Question) -> Response:
    """Set and remove attributes of several devices; null removes one."""
    body = await question.body()
    if body.get("nodes") is None:
        raise invalid("nodes", "missing")
    nodes, comment = object_member(body, "nodes"), optional_text(body, "comment") or ""
    request = pb.ChangeAttributesRequest()
    for device in nodes:
        changes = object_member(nodes, device)
        found = [_attribute(key, object_member(changes, key), comment) for key in changes]
        request.devices.append(pb.DeviceAttributes(device=device, attributes=found))
    await question.ask(_DEVICES + "ChangeAttributes", request)
    return answered(None)


def _attribute(key: str, body: Mapping[str, object], comment: str = "") -> types.CustomAttribute:
    """Read one attribute; without a value it is to be removed."""
    attribute = types.CustomAttribute(key=key, comment=comment)
    match body.get("value"):
        case None:
            if body:
                raise invalid(key, "has no value")
            return attribute
        case bool() as flag:
            attribute.bool_value = flag
        case str() as text:
            attribute.string_value = text
        case int() | float() as number if float(number).is_integer() and abs(number) < 1 << 53:
            attribute.number_value = int(number)
        case _:
            raise invalid("value", "neither a text, a whole number below 2^53, true nor false")
    expiry = optional_text(body, "expiry")
    if expiry and expiry != NEVER:
        attribute.expiry.CopyFrom(_instant(expiry))
    return attribute


def _instant(text: str) -> Timestamp:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise invalid("expiry", _TIME) from None
    stamp = Timestamp()
    try:
        stamp.FromDatetime(found.astimezone(UTC) if found.tzinfo is not None else found)
    except (ValueError, OverflowError):
        raise invalid("expiry", _TIME) from None
    return stamp


_SCOPE, _READ = "devices:posture_attributes", "devices:posture_attributes:read"
_PATH = "/device/{device}/attributes"

OPERATIONS = (
    Operation("GET", _PATH, "List a device's posture attributes", "devices", _get, _READ, answer="Attributes"),
    Operation(
        "POST",
        _PATH + "/{attribute}",
        "Set a posture attribute of a device",
        "devices",
        _set,
        _SCOPE,
        answer="Attributes",
        request="NewAttribute",
    ),
    Operation("DELETE", _PATH + "/{attribute}", "Remove a posture attribute of a device", "devices", _delete, _SCOPE),
    Operation(
        "PATCH",
        "/tailnet/{tailnet}/device-attributes",
        "Change posture attributes of devices",
        "devices",
        _batch,
        _SCOPE,
        answer="Null",
        request="AttributeChanges",
    ),
)
