"""The chain's step `audit`: records each change's target, values before and after, and result; never a secret."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from smartscale.auth.v1 import audit_pb2, auth_pb2
from smartscale.policy.v1 import policy_pb2
from smartscale.registry.v1 import registry_pb2
from smartscale.types.v1 import audit_pb2 as types

from gateway.admin.checks import LONG
from gateway.admin.context import CallContext
from gateway.admin.methods import Method
from gateway.admin.refusal import Refused
from gateway.admin.services import NodeName, Services
from services.shared.inventory import custom_attributes
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

NODE, USER, KEY, TAILNET = "NODE", "USER", "API_KEY", "TAILNET"
MAX_VALUE = 4 << 10
"""Characters of the values before and after; longer ones are cut."""
MAX_REASON = 500
_SECRET = frozenset({"key", "auth_id", "secret", "token"})
"""Fields that hold a secret, or what lets somebody decide a login."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a call is about."""

    type: str
    action: str
    property: str = ""
    field: str = ""
    """The field of the request that names the target; empty: the whole tailnet, or a record that the call creates."""


SUBJECTS: Mapping[str, Subject] = {
    "CreateUser": Subject(USER, "CREATE"),
    "RenameUser": Subject(USER, "UPDATE", "NAME", "old_id"),
    "DeleteUser": Subject(USER, "DELETE", "", "id"),
    "SetRole": Subject(USER, "UPDATE", "USER_ROLE", "user"),
    "SuspendUser": Subject(USER, "SUSPEND", "", "user"),
    "RestoreUser": Subject(USER, "RESTORE", "", "user"),
    "LinkUser": Subject(USER, "UPDATE", "IDENTITY", "user"),
    "UnlinkUser": Subject(USER, "UPDATE", "IDENTITY", "subject"),
    "RelinkUser": Subject(USER, "UPDATE", "IDENTITY", "user"),
    "CreatePreAuthKey": Subject(KEY, "CREATE"),
    "ExpirePreAuthKey": Subject(KEY, "EXPIRED", "", "id"),
    "DeletePreAuthKey": Subject(KEY, "REVOKE", "", "id"),
    "CreateApiKey": Subject(KEY, "CREATE"),
    "ExpireApiKey": Subject(KEY, "EXPIRED", "", "prefix"),
    "DeleteApiKey": Subject(KEY, "REVOKE", "", "prefix"),
    "CreateKey": Subject(KEY, "CREATE"),
    "UpdateKey": Subject(KEY, "UPDATE", "", "id"),
    "DeleteKey": Subject(KEY, "REVOKE", "", "id"),
    "RegisterNode": Subject(NODE, "CREATE"),
    "DebugCreateNode": Subject(NODE, "CREATE", "DEBUG"),
    "AuthRegister": Subject(NODE, "CREATE"),
    "AuthApprove": Subject(NODE, "APPROVE", "LOGIN"),
    "AuthReject": Subject(NODE, "REVOKE", "LOGIN"),
    "SetTags": Subject(NODE, "UPDATE", "ACL_TAGS", "node_id"),
    "SetApprovedRoutes": Subject(NODE, "UPDATE", "ALLOWED_IPS", "node_id"),
    "DeleteNode": Subject(NODE, "DELETE", "", "node_id"),
    "ExpireNode": Subject(NODE, "UPDATE", "KEY_EXPIRY_TIME", "node_id"),
    "PreferRoutes": Subject(NODE, "UPDATE", "PRIMARY_ROUTES", "node"),
    "RenameNode": Subject(NODE, "UPDATE", "MACHINE_NAME", "node_id"),
    "RenameDevice": Subject(NODE, "UPDATE", "MACHINE_NAME", "device"),
    "SetDeviceKeyExpiry": Subject(NODE, "UPDATE", "KEY_EXPIRY_TIME", "device"),
    "SetAddresses": Subject(NODE, "UPDATE", "IP_ADDRESS", "node"),
    "SetDeviceAddress": Subject(NODE, "UPDATE", "IP_ADDRESS", "device"),
    "SetDeviceAttributes": Subject(NODE, "UPDATE", "ATTRIBUTES", "device"),
    "ChangeAttributes": Subject(NODE, "UPDATE", "ATTRIBUTES"),
    "BackfillNodeIPs": Subject(NODE, "UPDATE", "IP_ADDRESS"),
    "SetPolicy": Subject(TAILNET, "UPDATE", "ACL"),
    "RollBackPolicy": Subject(TAILNET, "UPDATE", "ACL"),
    "ChangeSettings": Subject(TAILNET, "UPDATE", "SETTINGS"),
    "ChangeContact": Subject(TAILNET, "UPDATE", "CONTACT", "type"),
    "ChangeDns": Subject(TAILNET, "UPDATE", "DNS_CONFIG"),
    "ReloadConfiguration": Subject(TAILNET, "UPDATE", "CONFIGURATION"),
}
"""By the name of each call that may change something."""


class AuditTrail:
    """Records calls in the audit log of the auth service: before they are made, and with their result."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def begin(self, call: CallContext, method: Method, request: Message) -> types.AuditEntry:
        """Record a call that is about to be made. When this returns, it is in the log whatever happens.

        Raises:
            Refused: it cannot be recorded, so that it must not be made.
        """
        subject = SUBJECTS[method.name]
        target = str(getattr(request, subject.field) or "") if subject.field else ""
        entry = _entry(call, method.contract.full_name, subject, target)
        entry.old_value = _json(await self._before(call, subject, target))
        entry.new_value = _json(_shown(request))
        await self._record(entry)
        return entry

    async def finish(self, entry: types.AuditEntry, status: str, reason: str, answer: Message | None) -> None:
        """Record the result of a call. Where that fails, the call appears as interrupted."""
        entry.result, entry.reason = status, reason[:MAX_REASON]
        if not entry.target and answer is not None:
            entry.target = _created(answer)
        try:
            await self._services.audit.FinishCall(audit_pb2.FinishCallRequest(entry=entry), timeout=10.0)
        except grpc.aio.AioRpcError as error:
            log.error("result of a call not recorded", event_id=entry.event_id, reason=error.details())

    async def refuse(self, call: CallContext, operation: str, refusal: Refused) -> None:
        """Record that an operation was refused before any call was made.

        Raises:
            Refused: it cannot be recorded.
        """
        entry = _entry(call, operation, Subject(TAILNET, "UPDATE"), "")
        await self._record(entry)
        await self.finish(entry, refusal.code.name, str(refusal), None)

    async def _record(self, entry: types.AuditEntry) -> None:
        try:
            await self._services.audit.BeginCall(audit_pb2.BeginCallRequest(entry=entry), timeout=10.0)
        except grpc.aio.AioRpcError as error:
            log.error("call not recorded, refusing it", call=entry.call, reason=error.details())
            text = "the audit log cannot be written, so nothing is changed; try again"
            raise Refused(grpc.StatusCode.UNAVAILABLE, text) from None

    async def _before(self, call: CallContext, subject: Subject, target: str) -> Mapping[str, Any]:
        """Return the values that the call may change; nothing where they cannot be read."""
        try:
            if subject.property == "ACL":
                found = await call.ask(self._services.policy.GetPolicy, policy_pb2.GetPolicyRequest())
                return {"version": found.version.number, "etag": found.version.etag}
            if subject.property in ("SETTINGS", "CONTACT"):
                settings = await call.ask(self._services.registry.GetSettings, registry_pb2.GetSettingsRequest())
                return _shown(settings.settings)
            if subject.property == "DNS_CONFIG":
                return _shown((await call.ask(self._services.registry.GetDns, registry_pb2.GetDnsRequest())).dns)
            if not target:
                return {}
            if subject.type == NODE:
                return await self._node(call, target, subject)
            if subject.type == USER:
                return await self._user(call, target)
            key = await call.ask(self._services.auth.GetKey, auth_pb2.GetKeyRequest(id=target))
            return _shown(key.key)
        except (grpc.aio.AioRpcError, Refused):
            return {}

    async def _node(self, call: CallContext, target: str, subject: Subject) -> Mapping[str, Any]:
        names: NodeName = "stable_id" if subject.field == "device" else "given_name"
        node = (await self._services.node_named(call, target, names)).node
        return {
            "id": str(node.id),
            "name": node.given_name,
            "tags": list(node.tags),
            "approvedRoutes": list(node.approved_routes),
            "expiry": node.expiry.ToJsonString() if node.HasField("expiry") else None,
            "ipv4": node.ipv4,
            "attributes": dict(custom_attributes(node.custom_attributes)),
        }

    async def _user(self, call: CallContext, target: str) -> Mapping[str, Any]:
        user = await self._services.user_named(call, target)
        return {"id": str(user.id), "name": user.name, "role": user.role, "suspended": user.suspended}


def _entry(call: CallContext, name: str, subject: Subject, target: str) -> types.AuditEntry:
    micros = time.time_ns() // 1000
    return types.AuditEntry(
        event_id=secrets.token_hex(16),
        time=Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000),
        actor=call.caller.actor,
        wire=call.caller.wire,
        address=call.caller.address,
        call=name[:200],
        target_type=subject.type,
        target=target[:200],
        action=subject.action,
        property=subject.property,
    )


def _shown(message: Message) -> dict[str, Any]:
    """Return the set fields of a message: secrets as `***`, documents by their digest."""
    return {field.json_name: _value(field, value) for field, value in message.ListFields()}


def _value(field: FieldDescriptor, value: Any) -> Any:
    if isinstance(value, Timestamp):
        try:
            return value.ToJsonString()
        except ValueError:
            return "not a time"
    if isinstance(value, Message):
        return _shown(value)
    if field.is_repeated:
        return [_shown(one) if isinstance(one, Message) else str(one)[:256] for one in value[:64]]
    if isinstance(value, bool):
        return value
    if field.name in _SECRET:
        return "***"
    if field.name in LONG:
        raw = str(value).encode("utf-8", "surrogatepass")
        return {"sha256": hashlib.sha256(raw).hexdigest(), "bytes": len(raw)}
    return str(value)[:1024]


def _json(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, ensure_ascii=False, sort_keys=True) if values else ""
    return text if len(text) <= MAX_VALUE else json.dumps({"cut": text[: MAX_VALUE // 2]}, ensure_ascii=False)


def _created(answer: Message) -> str:
    """Return the id of the record that an answer holds; empty where it holds none."""
    for field, value in answer.ListFields():
        if not field.is_repeated and isinstance(value, Message) and "id" in value.DESCRIPTOR.fields_by_name:
            return str(getattr(value, "id", ""))
        if field.name == "version" and isinstance(value, Message):
            return str(getattr(value, "number", ""))
    return ""
