"""Encodes RegisterResponse, the answer to a register request, as JSON. Decides nothing.

All members are always present, because tailscale-rs has no defaults for them; `User.ID` is positive on success; a
picture is left out rather than empty, because tailscale-rs parses it as a URL.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from gateway.clients.auth import Admitted, KeyExpired, LoggedOut, LoginNeeded, Outcome, Refused, TooMany

HONOURS_429 = 137
"""Capability version (v1.98) from which clients honour Retry-After; older ones retry within milliseconds."""

_NO_USER: Mapping[str, object] = {"ID": 0, "DisplayName": ""}
_NO_LOGIN: Mapping[str, object] = {"ID": 0, "Provider": "", "LoginName": "", "DisplayName": ""}


def register_response(outcome: Outcome) -> bytes:
    """Return the body of the answer 200 for an outcome."""
    answer: dict[str, object] = {
        "User": _NO_USER,
        "Login": _NO_LOGIN,
        "NodeKeyExpired": False,
        "MachineAuthorized": False,
        "AuthURL": "",
        "NodeKeySignature": None,
        "Error": "",
    }
    match outcome:
        case Admitted():
            answer |= {"User": _user(outcome), "Login": _login(outcome), "MachineAuthorized": True}
        case LoginNeeded(url):
            answer["AuthURL"] = url
        case KeyExpired():
            answer["NodeKeyExpired"] = True
        case Refused(text):
            answer["Error"] = text or "not allowed"
        case TooMany(seconds):
            answer["Error"] = f"too many attempts, try again in {seconds} s"
        case LoggedOut():
            pass
    return orjson.dumps(answer)


def _user(admitted: Admitted) -> dict[str, object]:
    return {"ID": admitted.user_id, "DisplayName": admitted.display_name, **_picture(admitted)}


def _login(admitted: Admitted) -> dict[str, object]:
    return {
        "ID": admitted.user_id,
        "Provider": admitted.provider,
        "LoginName": admitted.login_name,
        "DisplayName": admitted.display_name,
        **_picture(admitted),
    }


def _picture(admitted: Admitted) -> dict[str, object]:
    return {"ProfilePicURL": admitted.profile_pic_url} if admitted.profile_pic_url else {}
