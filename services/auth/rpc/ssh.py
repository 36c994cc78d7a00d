"""The RPCs of SSH sessions: destinations ask and wait, administrators list and decide."""

from __future__ import annotations

from typing import Any

from grpc.aio import ServicerContext
from opentelemetry import trace
from smartscale.auth.v1 import auth_pb2 as pb

from services.auth.model.login import read_auth_id
from services.auth.model.rights import MAX_ACTOR
from services.auth.rpc import writing
from services.auth.rpc.errors import STATUS
from services.auth.rpc.reading import read_ssh_question, read_words
from services.auth.usecases.ssh_checks import SshChecks
from services.shared.rpc import answers, machine_key_of
from services.shared.telemetry import Telemetry
from services.shared.telemetry.instruments import Counter

ADMINISTRATOR = "administrator"


@answers(STATUS)
class SshServicer:
    """CheckSsh, AwaitSshCheck, GetSshCheck, ListSshChecks, DecideSshCheck."""

    def __init__(self, checks: SshChecks, telemetry: Telemetry) -> None:
        self._checks = checks
        self._ssh_tracer = telemetry.tracer
        self._ssh_answers = Counter(
            "smartscale_ssh_checks_total",
            "Questions about SSH sessions answered, by how they ended.",
            ["outcome"],
            registry=telemetry.registry,
        )

    async def CheckSsh(
        self, request: pb.CheckSshRequest, context: ServicerContext[pb.CheckSshRequest, pb.CheckSshResponse]
    ) -> pb.CheckSshResponse:
        """Return whether a session may begin."""
        with self._ssh_span("auth check ssh") as span:
            question = read_ssh_question(request.question)
            verdict = writing.ssh_verdict(await self._checks.ask(machine_key_of(context), question))
            return pb.CheckSshResponse(verdict=self._count(verdict, span))

    async def AwaitSshCheck(
        self,
        request: pb.AwaitSshCheckRequest,
        context: ServicerContext[pb.AwaitSshCheckRequest, pb.AwaitSshCheckResponse],
    ) -> pb.AwaitSshCheckResponse:
        """Wait until a check is decided."""
        with self._ssh_span("auth await ssh check") as span:
            question, auth_id = read_ssh_question(request.question), read_auth_id(request.auth_id)
            verdict = writing.ssh_verdict(await self._checks.wait(machine_key_of(context), question, auth_id))
            return pb.AwaitSshCheckResponse(verdict=self._count(verdict, span))

    async def GetSshCheck(
        self,
        request: pb.GetSshCheckRequest,
        context: ServicerContext[pb.GetSshCheckRequest, pb.GetSshCheckResponse],
    ) -> pb.GetSshCheckResponse:
        """Return a session for the page that shows it."""
        found = await self._checks.get(read_auth_id(request.auth_id))
        return pb.GetSshCheckResponse(check=writing.ssh_check(found))

    async def ListSshChecks(
        self,
        request: pb.ListSshChecksRequest,
        context: ServicerContext[pb.ListSshChecksRequest, pb.ListSshChecksResponse],
    ) -> pb.ListSshChecksResponse:
        """Return all pending checks."""
        return pb.ListSshChecksResponse(checks=map(writing.ssh_check, await self._checks.list()))

    async def DecideSshCheck(
        self,
        request: pb.DecideSshCheckRequest,
        context: ServicerContext[pb.DecideSshCheckRequest, pb.DecideSshCheckResponse],
    ) -> pb.DecideSshCheckResponse:
        """Approve or reject a check as an administrator."""
        with self._ssh_span("auth decide ssh check"):
            auth_id = read_auth_id(request.auth_id)
            by = read_words("actor", request.actor, MAX_ACTOR) or ADMINISTRATOR
            if request.approve:
                await self._checks.approve(auth_id, by)
            else:
                await self._checks.reject(auth_id, by)
            return pb.DecideSshCheckResponse(check=writing.ssh_check(await self._checks.get(auth_id)))

    def _count(self, verdict: pb.SshVerdict, span: trace.Span) -> pb.SshVerdict:
        ending = verdict.WhichOneof("outcome") or "none"
        span.set_attribute("smartscale.outcome", ending)
        self._ssh_answers.labels(ending).inc()
        return verdict

    def _ssh_span(self, name: str) -> Any:
        # As for registrations: an exception's text could contain what a client sent.
        return self._ssh_tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False)
