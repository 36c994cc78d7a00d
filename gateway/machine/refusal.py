"""Refusals of requests inside the tunnel: an HTTP status and a short text for the log of the client."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.clients.failure import Malformed, Overloaded, ServiceError, UnknownNode, WrongMachine
from gateway.exchange import Responder
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Clients log the status and up to 200 bytes of the text."""

    status: int
    text: str
    retry_after: int | None = None
    """Seconds; only for 429 and 503."""


UNKNOWN_NODE = Refusal(404, "no node has this node key")
WRONG_MACHINE = Refusal(403, "the node key belongs to another machine")
TOO_OLD = Refusal(400, "this client is too old: its capability version is below 113 (Tailscale v1.80)")
UNAVAILABLE = Refusal(503, "the service behind this request is not available", retry_after=1)
OVERLOADED = Refusal(503, "too many requests are under way here", retry_after=1)


def refuse(responder: Responder, refusal: Refusal) -> None:
    """Answer with a refusal; does nothing if the client has gone."""
    headers = () if refusal.retry_after is None else (("retry-after", str(refusal.retry_after)),)
    responder.respond(refusal.status, refusal.text.encode() + b"\n", "text/plain; charset=utf-8", headers)


def refusal_of(error: ServiceError) -> Refusal:
    """Return the answer to a client whose request a service did not fulfil."""
    match error:
        case WrongMachine():
            return WRONG_MACHINE
        case UnknownNode():
            return UNKNOWN_NODE
        case Malformed():
            return Refusal(400, str(error))
        case Overloaded():
            return OVERLOADED
        case _:
            log.warning("service not available", reason=str(error))
            return UNAVAILABLE
