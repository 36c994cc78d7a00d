"""What exists inside the tunnel: a method and a path to whoever answers. Owns the table; decides nothing else.

What we do not offer is answered quickly and briefly, as clients expect: no state of theirs is harmed. Host names are
never looked at, because clients send all kinds of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import orjson

from gateway.exchange import Responder, TunnelRequest
from gateway.machine.c2n import PREFIX as C2N
from gateway.machine.c2n import Questions
from gateway.machine.map import Map
from gateway.machine.refusal import Refusal, refuse
from gateway.machine.register import Register
from gateway.machine.ssh import PREFIX as SSH
from gateway.machine.ssh import Ssh
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

Answer = Callable[[TunnelRequest, Responder], None]

NOT_FOUND = Refusal(404, "there is nothing here")
NOT_OFFERED = Refusal(501, "this server does not offer that")

NOT_OFFERED_PREFIXES = (
    "/machine/set-dns",
    "/machine/feature/query",
    "/machine/id-token",
    "/machine/set-device-attr",
    "/machine/webclient/",
    "/machine/tka/",
)

_TEXT_LIMIT = 200


class Router:
    """The handler that the edge calls for each request of a tunnel."""

    def __init__(self, register: Register, map_: Map, ssh: Ssh, questions: Questions) -> None:
        self._questions, self._ssh = questions, ssh
        self._answers: Mapping[str, Mapping[str, Answer]] = {
            "/machine/register": {"POST": register.handle},
            "/machine/map": {"POST": map_.handle},
            "/machine/update-health": {"POST": take_health},
            "/machine/audit-log": {"POST": take_audit},
            "/machine/whoami": {"GET": whoami},
        }

    def handle(self, request: TunnelRequest, responder: Responder) -> None:
        """Answer, or give the request to whoever will."""
        if (methods := self._answers.get(request.path)) is not None:
            if (answer := methods.get(request.method)) is not None:
                answer(request, responder)
            else:
                allow = ", ".join(methods)
                responder.respond(405, b"method not allowed\n", "text/plain; charset=utf-8", (("allow", allow),))
        elif request.path.startswith(C2N):
            self._questions.answer(request, responder)
        elif request.path.startswith(SSH):
            self._ssh.handle(request, responder)
        elif request.path.startswith(NOT_OFFERED_PREFIXES):
            refuse(responder, NOT_OFFERED)
        else:
            refuse(responder, NOT_FOUND)


def take_health(request: TunnelRequest, responder: Responder) -> None:
    """Clients up to v1.88 say which of their parts is ill; it is a line in our log."""
    said = _object(request.body)
    if said is None:
        refuse(responder, Refusal(400, "a health report is a JSON object"))
        return
    log.debug("client health", subsystem=_short(said.get("Subsys")), error=_short(said.get("Error")))
    responder.respond(200, b"{}")


def take_audit(request: TunnelRequest, responder: Responder) -> None:
    """A client says that its user did something worth noting, such as disconnecting; it is a line in our log."""
    said = _object(request.body)
    if said is None:
        refuse(responder, Refusal(400, "an audit record is a JSON object"))
        return
    log.info(
        "client audit",
        machine_key=str(request.machine_key),
        action=_short(said.get("Action")),
        details=_short(said.get("Details")),
    )
    responder.respond(200, b"{}")


def whoami(request: TunnelRequest, responder: Responder) -> None:
    """Who we take the client for; only its debug command asks."""
    body = {"MachineKey": str(request.machine_key), "CapabilityVersion": request.capability_version}
    responder.respond(200, orjson.dumps(body))


def _object(body: bytes) -> dict[str, object] | None:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _short(value: object) -> str:
    return str(value)[:_TEXT_LIMIT] if isinstance(value, str) else ""
