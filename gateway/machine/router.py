"""Routes each request out of a tunnel to its handler, by method and path. Owns the table; decides nothing else.

Endpoints that this server does not offer are answered briefly and at once, as clients expect. Host names are ignored,
because clients send different ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import orjson

from gateway.exchange import Responder, TunnelRequest
from gateway.machine.c2n import PREFIX as C2N
from gateway.machine.c2n import NodeQueries
from gateway.machine.feature import answer_feature_query
from gateway.machine.map import Map
from gateway.machine.refusal import Refusal, refuse
from gateway.machine.register import Register
from gateway.machine.ssh import PREFIX as SSH
from gateway.machine.ssh import Ssh
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

Endpoint = Callable[[TunnelRequest, Responder], None]

NOT_FOUND = Refusal(404, "no such endpoint")
NOT_OFFERED = Refusal(501, "this server does not offer that")

NOT_OFFERED_PREFIXES = (
    "/machine/set-dns",
    "/machine/id-token",
    "/machine/set-device-attr",
    "/machine/webclient/",
    "/machine/tka/",
)

_TEXT_LIMIT = 200


class Router:
    """The handler of all requests of tunnels."""

    def __init__(self, register: Register, map_: Map, ssh: Ssh, queries: NodeQueries) -> None:
        self._queries, self._ssh = queries, ssh
        self._endpoints: Mapping[str, Mapping[str, Endpoint]] = {
            "/machine/register": {"POST": register.handle},
            "/machine/map": {"POST": map_.handle},
            "/machine/update-health": {"POST": take_health},
            "/machine/audit-log": {"POST": take_audit},
            "/machine/feature/query": {"POST": answer_feature_query},
            "/machine/whoami": {"GET": whoami},
        }

    def handle(self, request: TunnelRequest, responder: Responder) -> None:
        """Answer a request, or pass it to its endpoint."""
        if (methods := self._endpoints.get(request.path)) is not None:
            if (endpoint := methods.get(request.method)) is not None:
                endpoint(request, responder)
            else:
                allow = ", ".join(methods)
                responder.respond(405, b"method not allowed\n", "text/plain; charset=utf-8", (("allow", allow),))
        elif request.path.startswith(C2N):
            self._queries.answer(request, responder)
        elif request.path.startswith(SSH):
            self._ssh.handle(request, responder)
        elif request.path.startswith(NOT_OFFERED_PREFIXES):
            refuse(responder, NOT_OFFERED)
        else:
            refuse(responder, NOT_FOUND)


def take_health(request: TunnelRequest, responder: Responder) -> None:
    """Log a health report; clients up to v1.88 send them."""
    report = _object(request.body)
    if report is None:
        refuse(responder, Refusal(400, "a health report is a JSON object"))
        return
    log.debug("client health", subsystem=_short(report.get("Subsys")), error=_short(report.get("Error")))
    responder.respond(200, b"{}")


def take_audit(request: TunnelRequest, responder: Responder) -> None:
    """Log an audit record of a client, such as that its user disconnected."""
    report = _object(request.body)
    if report is None:
        refuse(responder, Refusal(400, "an audit record is a JSON object"))
        return
    log.info(
        "client audit",
        machine_key=str(request.machine_key),
        action=_short(report.get("Action")),
        details=_short(report.get("Details")),
    )
    responder.respond(200, b"{}")


def whoami(request: TunnelRequest, responder: Responder) -> None:
    """Answer with the identity of the client; used by its debug command."""
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
