"""Additions of the OpenAPI document to the contract's descriptors: patterns of texts, required members, links."""

from __future__ import annotations

from typing import Any

from gateway.admin.checks import MAX_TEXT
from gateway.admin.rest.v1.lists import MAX_PAGE

Schema = dict[str, Any]

REQUIRED = {
    "CreateUser": ("name",),
    "AuthRegister": ("user", "auth_id"),
    "AuthApprove": ("auth_id",),
    "AuthReject": ("auth_id",),
    "DebugCreateNode": ("user", "key"),
    "SetTags": ("tags",),
    "SetRole": ("role",),
    "LinkUser": ("issuer", "subject"),
    "RelinkUser": ("to",),
    "ExplainPolicy": ("source", "destination"),
}
ID: Schema = {"type": "string", "pattern": "^[0-9]{1,19}$", "examples": ["1"]}
NARROWED: dict[str, tuple[str, Schema]] = {
    "limit": (
        "Items in a page; the Link header leads to the next",
        {"type": "integer", "minimum": 1, "maximum": MAX_PAGE},
    ),
    "after": ("Only items with a larger id", dict(ID)),
    "tag": ("Only nodes with this tag", {"type": "string", "maxLength": MAX_TEXT}),
    "online": ("Only nodes that are, or are not, connected", {"type": "boolean"}),
    "user": ("Only keys of the user with this id or name", {"type": "string", "maxLength": MAX_TEXT}),
}
_LOGIN: Schema = {
    "pattern": "^hskey-authreq-[0-9A-Za-z_-]{24}$",
    "examples": ["hskey-authreq-0123456789abcdef01234567"],
}
_USER: Schema = {
    # A letter, then letters, digits and "_.@-": of ASCII exactly these; for others the server decides.
    "pattern": r"^[^\x00-@\[-`{-\x7f][^\x00-,/:-?\[-\^`{-\x7f]*$",
    "minLength": 2,
    "maxLength": 254,
    "examples": ["alice"],
}
_LABEL: Schema = {"pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", "examples": ["printer"]}
_TAG: Schema = {"pattern": "^tag:[A-Za-z][A-Za-z0-9-]{0,123}$", "examples": ["tag:web"]}
FORMS: dict[tuple[str, str], Schema] = {
    ("CreateUser", "name"): _USER,
    ("RenameUser", "new_name"): _USER,
    ("RenameNode", "new_name"): _LABEL,
    ("RegisterNode", "key"): _LOGIN,
    ("DebugCreateNode", "key"): _LOGIN,
    ("AuthRegister", "auth_id"): _LOGIN,
    ("AuthApprove", "auth_id"): _LOGIN,
    ("AuthReject", "auth_id"): _LOGIN,
    ("SetTags", "tags"): _TAG,
    ("CreatePreAuthKey", "acl_tags"): _TAG,
    ("SetApprovedRoutes", "routes"): {"examples": ["10.0.0.0/8"]},
    ("DebugCreateNode", "routes"): {"examples": ["10.0.0.0/8"]},
    ("SetRole", "role"): {
        "enum": ["owner", "admin", "network-admin", "it-admin", "billing-admin", "auditor", "member"]
    },
    ("LinkUser", "issuer"): {"minLength": 1, "examples": ["https://idp.example.com"]},
    ("LinkUser", "subject"): {"minLength": 1, "maxLength": 255, "examples": ["248289761001"]},
    ("RelinkUser", "to"): {"minLength": 1, "examples": ["alice"]},
    ("ExplainPolicy", "source"): {"minLength": 1, "examples": ["alice"]},
    ("ExplainPolicy", "destination"): {"minLength": 1, "examples": ["web:443"]},
    ("ExplainPolicy", "protocol"): {"examples": ["tcp"]},
    ("CreateUser", "picture_url"): {"examples": ["https://example.com/alice.png"]},
}
"""Patterns of texts, where the services require one."""
MOST = {"SetTags": 64, "CreatePreAuthKey": 64}
NAMES_TOO = frozenset({("RenameUser", "old_id"), ("DeleteUser", "id")})
LINKS: dict[str, tuple[tuple[str, dict[str, str], dict[str, str]], ...]] = {
    "CreateUser": (
        ("RenameUser", {"old_id": "/user/id"}, {}),
        ("DeleteUser", {"id": "/user/id"}, {}),
        ("ListUsers", {"id": "/user/id"}, {}),
        ("ListNodes", {"user": "/user/name"}, {}),
        ("CreatePreAuthKey", {}, {"user": "/user/id"}),
        ("DebugCreateNode", {}, {"user": "/user/name"}),
        ("SetRole", {"user": "/user/id"}, {}),
        ("ShowUser", {"user": "/user/id"}, {}),
        ("SuspendUser", {"user": "/user/id"}, {}),
        ("RestoreUser", {"user": "/user/id"}, {}),
        ("LinkUser", {"user": "/user/id"}, {}),
    ),
    "CreatePreAuthKey": (
        ("ExpirePreAuthKey", {}, {"id": "/preAuthKey/id"}),
        ("DeletePreAuthKey", {"id": "/preAuthKey/id"}, {}),
    ),
    "DebugCreateNode": (
        ("AuthRegister", {}, {"user": "/node/user/name", "authId": "$request.body#/key"}),
        ("RegisterNode", {"user": "/node/user/name", "key": "$request.body#/key"}, {}),
        ("AuthApprove", {}, {"authId": "$request.body#/key"}),
        ("AuthReject", {}, {"authId": "$request.body#/key"}),
    ),
    "RegisterNode": (("GetNode", {"node_id": "/node/id"}, {}), ("DeleteNode", {"node_id": "/node/id"}, {})),
    "AuthRegister": tuple(
        (rpc, {"node_id": "/node/id"}, {})
        for rpc in ("GetNode", "SetTags", "SetApprovedRoutes", "ExpireNode", "RenameNode", "DeleteNode")
    ),
    "GetVersion": (
        ("DiffVersions", {"number": "/version/number"}, {}),
        ("RollBackPolicy", {"number": "/version/number"}, {}),
        ("PreviewPolicy", {}, {"text": "/version/text"}),
    ),
    "GetPolicy": (("SetPolicy", {}, {"policy": "/policy"}), ("CheckPolicy", {}, {"policy": "/policy"})),
}
