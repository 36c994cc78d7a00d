"""POST /machine/register: translates between the client's JSON and auth. Decides nothing about who may join."""

from __future__ import annotations

from functools import partial

from opentelemetry import trace
from smartscale.auth.v1 import auth_pb2 as pb

from gateway.clients.auth import AuthClient, LoginStillPending
from gateway.clients.failure import ServiceError
from gateway.exchange import Responder, TunnelRequest
from gateway.machine.in_flight import InFlight
from gateway.machine.metrics import MachineMetrics
from gateway.machine.pace import Pace
from gateway.machine.refusal import TOO_OLD, Refusal, refusal_of, refuse
from gateway.machine.register_response import HONOURS_429, OUTCOMES, register_response
from gateway.machine.reports import LastReports
from services.shared.tailcfg.errors import ClientRequestError
from services.shared.tailcfg.requests import RegisterRequest, decode_register
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

MINIMUM_CAPABILITY_VERSION = 113


class Register:
    """Answers register requests."""

    def __init__(
        self,
        auth: AuthClient,
        reports: LastReports,
        work: InFlight,
        metrics: MachineMetrics,
        tracer: trace.Tracer,
        login_wait: float,
        pace: Pace | None = None,
    ) -> None:
        """`login_wait`: seconds that a Followup waits before the client is sent the URL to ask again."""
        self._pace = pace or Pace(0, 0, metrics)
        self._auth, self._reports, self._work = auth, reports, work
        self._metrics, self._tracer, self._login_wait = metrics, tracer, login_wait

    def handle(self, request: TunnelRequest, responder: Responder) -> None:
        """Start a request; it is answered when auth has decided."""
        try:
            wanted = decode_register(request.body)
        except ClientRequestError as error:
            self._refuse(responder, Refusal(400, str(error)))
            return
        if wanted.version < MINIMUM_CAPABILITY_VERSION:
            self._refuse(responder, TOO_OLD)
        elif (refusal := self._pace.refuses("register", request.machine_key)) is not None:
            self._metrics.registrations.labels("TooMany").inc()
            self._refuse_frequent(responder, wanted.version, refusal.retry_after or 1)
        else:
            self._work.run(request.machine_key, responder, partial(self._register, request, responder, wanted))

    async def _register(self, request: TunnelRequest, responder: Responder, wanted: RegisterRequest) -> None:
        machine, remote = request.machine_key, request.remote_address
        # Reports before this no longer count as repeated: registration stores hostinfo, and may follow a deletion.
        self._reports.forget(machine, wanted.node_key)
        with self._tracer.start_as_current_span("POST /machine/register", kind=trace.SpanKind.SERVER):
            try:
                if wanted.followup:
                    answer = await self._auth.await_login(machine, wanted, remote, self._login_wait)
                else:
                    answer = await self._auth.register(machine, wanted, remote)
            except LoginStillPending:
                answer = pb.RegisterResponse(login_needed=pb.LoginNeeded(auth_url=wanted.followup))
            except ServiceError as error:
                self._refuse(responder, refusal_of(error))
                return
        outcome = answer.WhichOneof("outcome")
        self._metrics.registrations.labels(OUTCOMES[outcome or "refused"]).inc()
        if outcome == "admitted":
            log.info("node registered", node_id=answer.admitted.node.id, capability_version=wanted.version)
        if outcome == "retry_after":
            self._refuse_frequent(responder, wanted.version, min(max(answer.retry_after, 1), 3600))
        else:
            responder.respond(200, register_response(answer))

    def _refuse_frequent(self, responder: Responder, version: int, seconds: int) -> None:
        """Refuse a machine that registers too often; older clients show their user nothing but `Error`."""
        if version >= HONOURS_429:
            refuse(responder, Refusal(429, "too many attempts", retry_after=seconds))
        else:
            responder.respond(200, register_response(pb.RegisterResponse(retry_after=seconds)))

    def _refuse(self, responder: Responder, refusal: Refusal) -> None:
        self._metrics.registrations.labels("Malformed" if refusal.status == 400 else "Failed").inc()
        refuse(responder, refusal)
