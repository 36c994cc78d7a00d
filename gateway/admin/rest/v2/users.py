"""The operations of /api/v2 about users."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc
from headscale.v1 import user_pb2
from smartscale.admin.v1 import user_pb2 as user_admin_pb2
from smartscale.types.v1 import node_pb2 as node_types
from smartscale.types.v1 import user_pb2 as user_types
from starlette.responses import Response

from gateway.admin.refusal import Refused, invalid
from gateway.admin.rest.v2.device import login_name, time_text
from gateway.admin.rest.v2.devices import all_nodes, all_users
from gateway.admin.rest.v2.operation import Operation, Question, answered, text_member

_ADMIN = "smartscale.admin.v1.UserAdminService."
_TYPES = ("member", "shared", "all")


def _shown(user: user_types.User, nodes: Iterable[node_types.Node], tailnet: str) -> dict[str, Any]:
    mine = [node for node in nodes if node.user_id == user.id]
    seen = [node.last_seen for node in mine if node.HasField("last_seen")]
    last = max(seen, key=lambda stamp: (stamp.seconds, stamp.nanos), default=user.created_at)
    return {
        "id": str(user.id),
        "displayName": user.display_name or user.name,
        "loginName": login_name(user),
        "profilePicUrl": user.profile_pic_url,
        "tailnetId": tailnet,
        "created": time_text(user.created_at),
        "type": "member",
        "role": user.role or "member",
        "status": "suspended" if user.suspended else "active",
        "deviceCount": len(mine),
        "lastSeen": time_text(last),
        "currentlyConnected": any(node.online for node in mine),
    }


async def _list(question: Question) -> Response:
    query = question.request.query_params
    kind, role = query.get("type", "member"), query.get("role", "all")
    if kind not in _TYPES:
        raise invalid("type", "none of member, shared, all")
    users = [] if kind == "shared" else list((await all_users(question)).values())
    nodes = await all_nodes(question)
    kept = [user for user in users if role in ("all", user.role or "member")]
    return answered({"users": [_shown(user, nodes, question.tailnet.name) for user in kept]})


async def _find(question: Question) -> user_types.User:
    text = question.path["user"]
    users = await all_users(question)
    found = users.get(int(text)) if text.isascii() and text.isdigit() and len(text) < 20 else None
    if found is None:
        raise Refused(grpc.StatusCode.NOT_FOUND, "user not found")
    return found


async def _get(question: Question) -> Response:
    return answered(_shown(await _find(question), await all_nodes(question), question.tailnet.name))


async def _set_role(question: Question) -> Response:
    role = text_member(await question.body(), "role")
    user = await _find(question)
    await question.ask(_ADMIN + "SetRole", user_admin_pb2.SetRoleRequest(user=user.name or str(user.id), role=role))
    return answered({})


async def _approve(question: Question) -> Response:
    """Approve a user: does nothing, since users need no approval here."""
    await _find(question)
    return answered({})


async def _suspend(question: Question) -> Response:
    user = await _find(question)
    await question.ask(_ADMIN + "SuspendUser", user_admin_pb2.SuspendUserRequest(user=user.name or str(user.id)))
    return answered({})


async def _restore(question: Question) -> Response:
    user = await _find(question)
    await question.ask(_ADMIN + "RestoreUser", user_admin_pb2.RestoreUserRequest(user=user.name or str(user.id)))
    return answered({})


async def _delete(question: Question) -> Response:
    user = await _find(question)
    await question.ask("headscale.v1.HeadscaleService.DeleteUser", user_pb2.DeleteUserRequest(id=user.id))
    return answered({})


OPERATIONS = (
    Operation(
        "GET", "/tailnet/{tailnet}/users", "List users", "users", _list, "users:read", ("type", "role"), answer="Users"
    ),
    Operation("GET", "/users/{user}", "Get a user", "users", _get, "users:read", answer="User"),
    Operation("POST", "/users/{user}/role", "Set a user's role", "users", _set_role, "users", body={"role": "string"}),
    Operation("POST", "/users/{user}/approve", "Approve a user", "users", _approve, "users"),
    Operation("POST", "/users/{user}/suspend", "Suspend a user", "users", _suspend, "users"),
    Operation("POST", "/users/{user}/restore", "Restore a suspended user", "users", _restore, "users"),
    Operation("POST", "/users/{user}/delete", "Delete a user without devices", "users", _delete, "users"),
)
