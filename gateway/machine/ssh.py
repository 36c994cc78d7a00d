"""GET /machine/ssh/action/{source}/to/{destination}: translates between clients and services. Decides nothing.

The destination of a checked SSH session requests an action (tailcfg `SSHAction`): first with the URL of its SSH policy,
then with the URL in the answer, which names the pending check. The second request waits for a person. After an answer
other than 200 a client retries every few seconds for half an hour, so an unavailable service does no harm, and a
session that can never be allowed must be rejected with a 200.
"""

from __future__ import annotations

import re
from functools import partial
from urllib.parse import parse_qs, quote

import orjson
from opentelemetry import trace

from gateway.clients.failure import Malformed, ServiceError, UnknownNode, WrongMachine
from gateway.clients.ssh import (
    SessionRule,
    SshAccepted,
    SshClient,
    SshRefused,
    SshSession,
    SshStillWaiting,
    SshVerdict,
    SshWaiting,
)
from gateway.exchange import Responder, TunnelRequest
from gateway.machine.in_flight import InFlight
from gateway.machine.pace import Pace
from gateway.machine.refusal import refusal_of, refuse
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

PREFIX = "/machine/ssh/action/"
MAX_WAITING = 8192
MAX_WAITING_PER_MACHINE = 64
"""Sessions to one node that may wait for a person at once."""

NO_SESSION = "this SSH session cannot be checked here"
"""The same for malformed URLs, unknown nodes, nodes of other machines and pairs without a rule: reveals nothing."""

_WAITS = """# This SSH session waits for the owner of the machine that opens it.
# To let it in, visit: {url}
"""

_PATH = re.compile(r"/machine/ssh/action/([0-9]{1,20})/to/([0-9]{1,20})\Z", re.ASCII)
_MAX_ID = (1 << 63) - 1
_MAX_QUERY = 4096
_MAX_LOCAL_USER = 256
_MAX_AUTH_ID = 64


class Ssh:
    """Answers requests for SSH actions."""

    def __init__(
        self, client: SshClient, work: InFlight, pace: Pace, tracer: trace.Tracer, server_url: str, hold: float
    ) -> None:
        """`hold`: seconds that a request waits before the client is sent the URL to ask again."""
        self._client, self._work, self._pace, self._tracer = client, work, pace, tracer
        self._url, self._hold = server_url.rstrip("/"), hold

    def handle(self, request: TunnelRequest, responder: Responder) -> None:
        """Start a request; it is answered when the services have answered."""
        if request.method != "GET":
            text = "text/plain; charset=utf-8"
            responder.respond(405, b"method not allowed\n", text, (("allow", "GET"),))
        elif (refusal := self._pace.refuses("ssh", request.machine_key)) is not None:
            refuse(responder, refusal)
        elif (asked := _read(request)) is None:
            _reject(responder, NO_SESSION)
        else:
            session, auth_id = asked
            self._work.run(request.machine_key, responder, partial(self._answer, request, responder, session, auth_id))

    async def _answer(self, request: TunnelRequest, responder: Responder, session: SshSession, auth_id: str) -> None:
        machine, client = request.machine_key, self._client
        with self._tracer.start_as_current_span("GET /machine/ssh/action", kind=trace.SpanKind.SERVER):
            try:
                rule = await client.rule(machine, session)
                verdict: SshVerdict
                if not auth_id:
                    verdict = await client.check(machine, session, rule)
                else:
                    verdict = await client.wait(machine, session, rule, auth_id, self._hold)
                    rule = await client.rule(machine, session)  # it may have changed during the wait
            except SshStillWaiting:
                self._delegate(responder, session, auth_id)
            except (UnknownNode, WrongMachine, Malformed):
                _reject(responder, NO_SESSION)
            except ServiceError as error:
                refuse(responder, refusal_of(error))
            else:
                self._respond(responder, session, rule, verdict)

    def _respond(self, responder: Responder, session: SshSession, rule: SessionRule, verdict: SshVerdict) -> None:
        match verdict:
            case SshAccepted():
                responder.respond(200, rule.action)
            case SshRefused(text):
                _reject(responder, text)
            case SshWaiting(auth_id, url):
                self._delegate(responder, session, auth_id, _WAITS.format(url=url))

    def _delegate(self, responder: Responder, session: SshSession, auth_id: str, message: str = "") -> None:
        """Answer with the URL that the client must request next."""
        path = f"{PREFIX}{session.source_id}/to/{session.destination_id}"
        query = f"local_user={quote(session.local_user, safe='')}&auth_id={auth_id}"
        action = {"holdAndDelegate": f"{self._url}{path}?{query}"}
        responder.respond(200, orjson.dumps(({"message": message} if message else {}) | action))


def _read(request: TunnelRequest) -> tuple[SshSession, str] | None:
    """Parse the session and the auth id of a URL. Returns None if it is not one of this server."""
    path = _PATH.match(request.path)
    if path is None or len(request.query) > _MAX_QUERY:
        return None
    source_id, destination_id = int(path[1]), int(path[2])
    try:
        fields = parse_qs(request.query, keep_blank_values=True, max_num_fields=8, errors="strict")
    except ValueError:
        return None
    local_user, auth_id = fields.get("local_user", [""]), fields.get("auth_id", [""])
    odd = (
        not 0 < source_id <= _MAX_ID,
        not 0 < destination_id <= _MAX_ID,
        len(local_user) > 1 or len(local_user[0]) > _MAX_LOCAL_USER or not local_user[0].isprintable(),
        len(auth_id) > 1 or len(auth_id[0]) > _MAX_AUTH_ID or not auth_id[0].isprintable(),
    )
    return None if any(odd) else (SshSession(source_id, destination_id, local_user[0]), auth_id[0])


def _reject(responder: Responder, text: str) -> None:
    responder.respond(200, orjson.dumps({"reject": True, "message": f"# {text}\n"}))
