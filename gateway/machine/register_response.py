"""Encodes RegisterResponse, the answer to a register request, as JSON. Decides nothing.

All members are always present, because tailscale-rs has no defaults for them; `User.ID` is positive on success; a
picture is left out rather than empty, because tailscale-rs parses it as a URL.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from smartscale.auth.v1 import auth_pb2 as pb

from services.shared.ids import TAGGED_DEVICES_USER

HONOURS_429 = 137
"""Capability version (v1.98) from which clients honour Retry-After; older ones retry within milliseconds."""

OUTCOMES: Mapping[str, str] = {
    "admitted": "Admitted",
    "login_needed": "LoginNeeded",
    "node_key_expired": "KeyExpired",
    "logged_out": "LoggedOut",
    "refused": "Refused",
    "retry_after": "TooMany",
}
"""Outcomes of a registration by their members in the answer of auth, with their labels in the metrics."""

_NO_USER: Mapping[str, object] = {"ID": 0, "DisplayName": ""}
_NO_LOGIN: Mapping[str, object] = {"ID": 0, "Provider": "", "LoginName": "", "DisplayName": ""}
_TAGGED_USER: Mapping[str, object] = {"ID": TAGGED_DEVICES_USER, "DisplayName": "Tagged Devices"}
_TAGGED_LOGIN: Mapping[str, object] = {
    "ID": TAGGED_DEVICES_USER,
    "Provider": "",
    "LoginName": "tagged-devices",
    "DisplayName": "Tagged Devices",
}


def register_response(response: pb.RegisterResponse) -> bytes:
    """Return the body of the answer 200 for an answer of auth."""
    answer: dict[str, object] = {
        "User": _NO_USER,
        "Login": _NO_LOGIN,
        "NodeKeyExpired": False,
        "MachineAuthorized": False,
        "AuthURL": "",
        "NodeKeySignature": None,
        "Error": "",
    }
    match response.WhichOneof("outcome"):
        case "admitted":
            answer |= {"MachineAuthorized": True, **_owner(response.admitted)}
        case "login_needed":
            answer["AuthURL"] = response.login_needed.auth_url
        case "node_key_expired":
            answer["NodeKeyExpired"] = True
        case "refused":
            answer["Error"] = response.refused or "not allowed"
        case "retry_after":
            answer["Error"] = f"too many attempts, try again in {response.retry_after} s"
        case "logged_out" | None:
            pass
    return orjson.dumps(answer)


def _owner(admitted: pb.Admitted) -> dict[str, object]:
    """Return `User` and `Login` of a node's owner; tags own a node in the owner's place."""
    if not admitted.HasField("user") or admitted.node.tags:
        return {"User": _TAGGED_USER, "Login": _TAGGED_LOGIN}
    user = admitted.user
    login_name = user.email or user.name
    shown: dict[str, object] = {"ID": user.id, "DisplayName": user.display_name or login_name}
    if user.profile_pic_url:
        shown["ProfilePicURL"] = user.profile_pic_url
    return {"User": shown, "Login": {**shown, "Provider": user.provider, "LoginName": login_name}}
