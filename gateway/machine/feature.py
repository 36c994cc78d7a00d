"""Answers of `/machine/feature/query`: in words why a feature of the client cannot be switched on here. Keeps nothing.

A client asks when its user types `tailscale serve` or `funnel` and a capability is missing. It prints `Text` and ends
with success if `ShouldWait` is false; a status such as 501 would reach the user as an internal error.
"""

from __future__ import annotations

import orjson

from gateway.exchange import Responder, TunnelRequest
from gateway.machine.refusal import Refusal, refuse

_TEXTS = {
    "serve": (
        "This server issues no certificates for nodes, so HTTPS cannot be served under a name of the tailnet. "
        "Plain HTTP works, and is encrypted inside the tailnet: tailscale serve --http=80 TARGET"
    ),
    "funnel": (
        "This server has no public relay, so Funnel is not available. Inside the tailnet use: "
        "tailscale serve --http=80 TARGET"
    ),
}
_OTHER = "This server does not offer this feature."
_MALFORMED = Refusal(400, "a feature query is a JSON object with a Feature")


def answer_feature_query(request: TunnelRequest, responder: Responder) -> None:
    """Answer with a text that the client prints; nothing to wait for."""
    try:
        query = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        query = None
    feature = query.get("Feature") if isinstance(query, dict) else None
    if not isinstance(feature, str) or not feature:
        refuse(responder, _MALFORMED)
        return
    answer = {"Complete": False, "Text": _TEXTS.get(feature, _OTHER), "ShouldWait": False}
    responder.respond(200, orjson.dumps(answer))
