"""The JSON shapes of /api/v2, each given by an example from which its schema follows. Knows no operation."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

_ROLES = ("owner", "admin", "it-admin", "network-admin", "billing-admin", "auditor", "member")
_TIME = "2026-01-02T03:04:05Z"
_NODE_KEY, _MACHINE_KEY = f"nodekey:{'0' * 63}1", f"mkey:{'0' * 63}1"

Schema = Mapping[str, Any]


def schema_of(example: object) -> dict[str, Any]:
    """Return the schema of values like an example; every member of an object is required."""
    match example:
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case float():
            return {"type": "number"}
        case str():
            return {"type": "string"}
        case list():
            return {"type": "array", "items": schema_of(example[0]) if example else {"type": "string"}}
        case dict():
            return shape(example)
        case _:
            return {}


def shape(
    example: Mapping[str, Any], optional: Collection[str] = (), members: Mapping[str, Schema] | None = None
) -> dict[str, Any]:
    """Return the schema of objects like an example; `members` replaces schemas that do not follow from it."""
    given = members or {}
    properties = {name: given.get(name) or schema_of(value) for name, value in example.items()}
    required = [name for name in example if name not in optional]
    return {"type": "object", "properties": properties, "required": required, "examples": [dict(example)]}


def mapping(values: Schema, example: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of objects with any member names."""
    return {"type": "object", "additionalProperties": dict(values), "examples": [dict(example)]}


def one_of(*names: str) -> Schema:
    """Return the schema of a few texts."""
    return {"type": "string", "enum": list(names)}


_TEXTS: Schema = {"type": "array", "items": {"type": "string"}}
_ROUTES = {"advertisedRoutes": ["10.0.0.0/8"], "enabledRoutes": ["10.0.0.0/8"]}
_CONNECTIVITY = {
    "endpoints": ["203.0.113.7:41641"],
    "mappingVariesByDestIP": False,
    "clientSupports": {"hairPinning": None, "ipv6": True, "pcp": None, "pmp": None, "udp": True, "upnp": None},
}
_FLAG_OR_NULL: Schema = {"type": ["boolean", "null"]}
_DEVICE_MORE = {
    **_ROUTES,
    "clientConnectivity": _CONNECTIVITY,
    "sshEnabled": False,
    "distro": {"name": "debian", "version": "12", "codeName": "bookworm"},
}
_DEVICE = {
    "addresses": ["100.64.0.7", "fd7a:115c:a1e0::7"],
    "id": "7",
    "nodeId": "n7CNTRL",
    "user": "alice@example.com",
    "name": "printer.tail.example.net",
    "hostname": "printer",
    "clientVersion": "1.80.0",
    "updateAvailable": False,
    "os": "linux",
    "created": _TIME,
    "connectedToControl": True,
    "lastSeen": _TIME,
    "keyExpiryDisabled": True,
    "expires": "0001-01-01T00:00:00Z",
    "authorized": True,
    "isExternal": False,
    "machineKey": _MACHINE_KEY,
    "nodeKey": _NODE_KEY,
    "blocksIncomingConnections": False,
    "tailnetLockKey": "",
    "tailnetLockError": "",
    "tags": ["tag:web"],
    "isEphemeral": False,
    **_DEVICE_MORE,
}
_CONNECTIVITY_SHAPE = shape(
    _CONNECTIVITY,
    members={"clientSupports": shape({"udp": True}, members={"udp": _FLAG_OR_NULL})},
)
_DEVICE_SHAPE = shape(_DEVICE, ("lastSeen", "tags", *_DEVICE_MORE), members={"clientConnectivity": _CONNECTIVITY_SHAPE})
_USER = {
    "id": "3",
    "displayName": "Alice",
    "loginName": "alice@example.com",
    "profilePicUrl": "",
    "tailnetId": "tail.example.net",
    "created": _TIME,
    "type": "member",
    "role": "member",
    "status": "active",
    "deviceCount": 2,
    "lastSeen": _TIME,
    "currentlyConnected": True,
}
_USER_SHAPE = shape(
    _USER,
    members={
        "role": one_of(*_ROLES),
        "status": one_of("active", "suspended"),
        "type": one_of("member"),
    },
)
_CREATE = {"reusable": False, "ephemeral": True, "preauthorized": True, "tags": ["tag:web"]}
_KEY = {
    "id": "k1",
    "keyType": "auth",
    "key": "hskey-auth-…",
    "description": "CI of the web servers",
    "created": _TIME,
    "updated": _TIME,
    "expires": _TIME,
    "invalid": False,
    "expirySeconds": 86400,
    "capabilities": {"devices": {"create": _CREATE}},
    "scopes": ["devices:core:read"],
    "tags": ["tag:web"],
    "userId": "3",
}
_KEY_OPTIONAL = ("key", "updated", "expires", "expirySeconds", "capabilities", "scopes", "tags", "userId")
_KEY_SHAPE = shape(_KEY, _KEY_OPTIONAL, members={"keyType": one_of("auth", "client", "api")})
_MATCH = {"users": ["group:ops"], "ports": ["tag:db:5432"], "lineNumber": 7, "postures": ["posture:new"]}
_FINDING = {"user": "alice@example.com", "errors": [], "warnings": []}
_LOG: dict[str, Any] = {
    "eventTime": _TIME,
    "type": "CONFIG",
    "deferredAt": "0001-01-01T00:00:00Z",
    "eventGroupID": "0" * 32,
    "origin": "CONFIG_API",
    "actor": {"id": "api key 1", "type": "USER", "loginName": "api key 1", "displayName": "api key 1"},
    "target": {"id": "7", "name": "7", "type": "NODE", "property": "ACL_TAGS"},
    "action": "UPDATE",
    "actionDetails": "smartscale.admin.v1.DeviceAdminService.RenameDevice over rest/v2 from 192.0.2.1",
    "old": {},
    "new": {},
    "error": "",
}
_LOG_SHAPE = shape(
    _LOG,
    ("old", "new", "error"),
    members={
        "target": shape(_LOG["target"], ("property",)),
        "old": {"type": "object"},
        "new": {"type": "object"},
    },
)


_RESOLVER = {"address": "1.1.1.1", "useWithExitNode": True}
_RESOLVERS: Schema = {"type": "array", "items": shape(_RESOLVER, ("useWithExitNode",))}
_TEXTS_OR_NULL: Schema = {"type": ["array", "null"], "items": {"type": "string"}}
_PREFERENCES: Mapping[str, Schema] = {"overrideLocalDNS": _FLAG_OR_NULL, "magicDNS": _FLAG_OR_NULL}
_RESOLVERS_OR_NULL: Schema = {
    "type": ["array", "null"],
    "items": shape(_RESOLVER, ("useWithExitNode",), {"useWithExitNode": _FLAG_OR_NULL}),
}
_DNS: dict[str, Any] = {
    "nameservers": [_RESOLVER],
    "splitDNS": {"corp.example.com": [{"address": "10.0.0.53"}]},
    "searchPaths": ["corp.example.com"],
    "preferences": {"overrideLocalDNS": True, "magicDNS": True},
}
_SPLIT = {"corp.example.com": ["10.0.0.53"]}


_ATTRIBUTE: Schema = {"type": ["string", "integer", "boolean"]}
_NEW_ATTRIBUTE = shape(
    {"value": 3, "expiry": "2036-01-02T03:04:05Z", "comment": "weekly scan"},
    ("expiry", "comment"),
    members={"value": _ATTRIBUTE, "expiry": {"type": ["string", "null"]}, "comment": {"type": ["string", "null"]}},
)
_CHANGE: Schema = {
    "type": ["object", "null"],
    "properties": {"value": _ATTRIBUTE, "expiry": {"type": ["string", "null"]}},
    "required": ["value"],
}


_SETTINGS: dict[str, Any] = {
    "aclsExternallyManagedOn": True,
    "aclsExternalLink": "https://git.example.com/policy",
    "devicesApprovalOn": False,
    "devicesAutoUpdatesOn": True,
    "devicesKeyDurationDays": 90,
    "usersApprovalOn": False,
    "usersRoleAllowedToJoinExternalTailnets": "none",
    "networkFlowLoggingOn": False,
    "postureIdentityCollectionOn": False,
    "httpsEnabled": False,
    "routeSelection": "active-passive-failover",
    "regionalRoutingOn": False,
}
_CONTACT = {"email": "admin@example.com", "needsVerification": False}


def _list_of(name: str, item: dict[str, Any]) -> dict[str, Any]:
    return shape({name: item["examples"]}, members={name: {"type": "array", "items": item}})


SHAPES: Mapping[str, Schema] = {
    "Nothing": {"type": "object", "additionalProperties": False, "examples": [{}]},
    "Device": _DEVICE_SHAPE,
    "Devices": _list_of("devices", _DEVICE_SHAPE),
    "Routes": shape(_ROUTES),
    "Null": {"type": "null", "examples": [None]},
    "Attributes": shape(
        {"attributes": {"node:os": "linux", "custom:risk": 3}, "expiries": {"custom:risk": _TIME}},
        members={
            "attributes": mapping(_ATTRIBUTE, {"node:os": "linux", "custom:risk": 3}),
            "expiries": mapping({"type": "string"}, {"custom:risk": _TIME}),
        },
    ),
    "NewAttribute": _NEW_ATTRIBUTE,
    "AttributeChanges": shape(
        {"nodes": {"n7CNTRL": {"custom:risk": {"value": 3}, "custom:old": None}}, "comment": "weekly scan"},
        ("comment",),
        members={
            "nodes": {"type": "object", "additionalProperties": mapping(_CHANGE, {"custom:risk": {"value": 3}})},
            "comment": {"type": ["string", "null"]},
        },
    ),
    "User": _USER_SHAPE,
    "Users": _list_of("users", _USER_SHAPE),
    "Key": _KEY_SHAPE,
    "Keys": _list_of("keys", _KEY_SHAPE),
    "Policy": {"type": "object", "examples": [{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}]},
    "PolicyOrTests": {
        "description": "A policy, or tests against the policy in force. What is neither is answered as a failure.",
        "examples": [[{"src": "alice@example.com", "accept": ["tag:db:5432"]}]],
    },
    "PolicyFindings": shape(
        {"message": "test(s) failed", "data": [_FINDING]},
        ("message", "data"),
        members={"data": {"type": "array", "items": shape(_FINDING, tuple(_FINDING))}},
    ),
    "PolicyPreview": shape(
        {"matches": [_MATCH], "type": "user", "previewFor": "alice@example.com"},
        members={"matches": {"type": "array", "items": shape(_MATCH, ("postures",))}, "type": one_of("user", "ipport")},
    ),
    "Nameservers": shape({"dns": ["1.1.1.1"]}),
    "DnsConfiguration": shape(
        _DNS, members={"nameservers": _RESOLVERS, "splitDNS": mapping(_RESOLVERS, _DNS["splitDNS"])}
    ),
    "NewDnsConfiguration": shape(
        _DNS,
        tuple(_DNS),
        members={
            "nameservers": _RESOLVERS_OR_NULL,
            "splitDNS": {**mapping(_RESOLVERS_OR_NULL, _DNS["splitDNS"]), "type": ["object", "null"]},
            "searchPaths": _TEXTS_OR_NULL,
            "preferences": {
                **shape(_DNS["preferences"], ("overrideLocalDNS", "magicDNS"), _PREFERENCES),
                "type": ["object", "null"],
            },
        },
    ),
    "NewNameservers": shape({"dns": ["1.1.1.1"]}, members={"dns": _TEXTS_OR_NULL}),
    "ChangedNameservers": shape({"dns": ["1.1.1.1"], "magicDNS": True}),
    "NewSearchPaths": shape({"searchPaths": ["corp.example.com"]}, members={"searchPaths": _TEXTS_OR_NULL}),
    "NewSplitDns": mapping(_TEXTS_OR_NULL, _SPLIT),
    "DnsPreferences": shape({"magicDNS": True}),
    "SearchPaths": shape({"searchPaths": ["corp.example.com"]}),
    "SplitDns": mapping(_TEXTS, _SPLIT),
    "Settings": shape(_SETTINGS, tuple(_SETTINGS)),
    "NewSettings": shape(
        _SETTINGS,
        tuple(_SETTINGS),
        members={
            name: {**schema_of(value), "type": [schema_of(value)["type"], "null"]} for name, value in _SETTINGS.items()
        },
    ),
    "Contacts": shape(dict.fromkeys(("account", "support", "security"), _CONTACT)),
    "AuditLog": shape(
        {"version": "1.1", "tailnet": "tail.example.net", "logs": [_LOG]},
        members={"logs": {"type": "array", "items": _LOG_SHAPE}},
    ),
    "Error": shape(
        {"message": "device not found", "data": [_FINDING]},
        ("data",),
        members={"data": {"type": "array", "items": shape(_FINDING, tuple(_FINDING))}},
    ),
}
"""Shapes by name, as the document's components."""
