"""The gRPC service of policies. Translates messages and errors; decides nothing."""

from __future__ import annotations

import grpc
from grpc.aio import ServicerContext
from opentelemetry import trace
from smartscale.common.v1 import common_pb2
from smartscale.policy.v1 import policy_pb2 as pb
from smartscale.policy.v1 import policy_pb2_grpc
from smartscale.types.v1 import policy_pb2 as policy_types

from services.policy.explain import Result, RulePreviewError
from services.policy.model.errors import FileModeError, NotFoundError, OvertakenError, TailnetUnknownError
from services.policy.model.text.problems import PolicyError, Problem
from services.policy.usecases import Policies
from services.policy.wire import version_to_proto
from services.shared.ids import DEFAULT_TAILNET, TailnetId
from services.shared.rpc import answers

MAX_STATUS_TEXT = 6000
"""Maximum bytes of an error text: gRPC sends it in a header, and most peers accept 8 KiB of headers."""


class _DocumentRefusedError(Exception):
    """A refused document, with a text that fits into a status."""


@answers(
    {
        _DocumentRefusedError: grpc.StatusCode.INVALID_ARGUMENT,
        RulePreviewError: grpc.StatusCode.INVALID_ARGUMENT,
        NotFoundError: grpc.StatusCode.NOT_FOUND,
        FileModeError: grpc.StatusCode.FAILED_PRECONDITION,
        OvertakenError: grpc.StatusCode.ABORTED,
        TailnetUnknownError: grpc.StatusCode.UNAVAILABLE,
    }
)
class PolicyServicer(policy_pb2_grpc.PolicyServiceServicer):
    """smartscale.policy.v1.PolicyService."""

    def __init__(self, policies: Policies, tracer: trace.Tracer, tailnet: TailnetId = DEFAULT_TAILNET) -> None:
        self._policies = policies
        self._tracer = tracer
        self._tailnet = tailnet

    async def GetPolicy(
        self, request: pb.GetPolicyRequest, context: ServicerContext[pb.GetPolicyRequest, pb.GetPolicyResponse]
    ) -> pb.GetPolicyResponse:
        """Return a version."""
        return pb.GetPolicyResponse(version=version_to_proto(await self._policies.get(request.number)))

    async def SetPolicy(
        self, request: pb.SetPolicyRequest, context: ServicerContext[pb.SetPolicyRequest, pb.SetPolicyResponse]
    ) -> pb.SetPolicyResponse:
        """Check a policy, store it and put it in force."""
        with self._tracer.start_as_current_span("policy set"):
            try:
                version, warnings = await self._policies.set(
                    request.text,
                    author=request.author,
                    reason=request.reason,
                    if_match=request.if_match,
                )
            except PolicyError as error:
                raise _DocumentRefusedError(_fitting(error)) from error
        return pb.SetPolicyResponse(version=version_to_proto(version), warnings=warnings)

    async def CheckPolicy(
        self,
        request: pb.CheckPolicyRequest,
        context: ServicerContext[pb.CheckPolicyRequest, pb.CheckPolicyResponse],
    ) -> pb.CheckPolicyResponse:
        """Check a policy without storing it."""
        with self._tracer.start_as_current_span("policy check"):
            try:
                warnings = await self._policies.check(request.text)
            except PolicyError as error:
                raise _DocumentRefusedError(_fitting(error)) from error
        return pb.CheckPolicyResponse(warnings=warnings)

    async def ExplainPolicy(
        self,
        request: pb.ExplainPolicyRequest,
        context: ServicerContext[pb.ExplainPolicyRequest, pb.ExplainPolicyResponse],
    ) -> pb.ExplainPolicyResponse:
        """Return the rules that decide access between two names."""
        answer = await self._policies.explain(
            request.source, request.destination, protocol=request.protocol, text=request.text
        )
        _check_answer(answer)
        found = [policy_types.PolicyExplanation(**one) for one in answer["answers"]]
        return pb.ExplainPolicyResponse(allowed=answer["allowed"], answers=found)

    async def PreviewPolicy(
        self,
        request: pb.PreviewPolicyRequest,
        context: ServicerContext[pb.PreviewPolicyRequest, pb.PreviewPolicyResponse],
    ) -> pb.PreviewPolicyResponse:
        """Return what a policy would change, by node."""
        with self._tracer.start_as_current_span("policy preview"):
            try:
                answer, warnings = await self._policies.preview(request.text)
            except PolicyError as error:
                raise _DocumentRefusedError(_fitting(error)) from error
            _check_answer(answer)
        found = [policy_types.PolicyDifference(node=name, **one) for name, one in answer["nodes"].items()]
        return pb.PreviewPolicyResponse(differences=found, unchanged=answer["unchanged"], warnings=warnings)

    async def PreviewRules(
        self,
        request: pb.PreviewRulesRequest,
        context: ServicerContext[pb.PreviewRulesRequest, pb.PreviewRulesResponse],
    ) -> pb.PreviewRulesResponse:
        """Return the rules of a policy that concern one user or one destination."""
        with self._tracer.start_as_current_span("policy preview"):
            try:
                found = await self._policies.preview_rules(
                    request.text, user=request.user, destination=request.destination
                )
            except PolicyError as error:
                raise _DocumentRefusedError(_fitting(error)) from error
        matches = [
            policy_types.PolicyMatch(users=one.users, ports=one.ports, postures=one.postures, line=one.line)
            for one in found
        ]
        return pb.PreviewRulesResponse(matches=matches)

    async def ListVersions(
        self,
        request: pb.ListVersionsRequest,
        context: ServicerContext[pb.ListVersionsRequest, pb.ListVersionsResponse],
    ) -> pb.ListVersionsResponse:
        """Return versions, newest first."""
        found = await self._policies.versions(request.before, request.limit)
        return pb.ListVersionsResponse(versions=[version_to_proto(version) for version in found])

    async def GetCompiled(
        self,
        request: pb.GetCompiledRequest,
        context: ServicerContext[pb.GetCompiledRequest, pb.GetCompiledResponse],
    ) -> pb.GetCompiledResponse:
        """Return the compiled form in force."""
        self._check_tailnet(request.tailnet_id)
        found = await self._policies.in_force()
        return pb.GetCompiledResponse(seq=found.seq, compiled=found.compiled, version=found.number)

    async def GetChanges(
        self,
        request: pb.GetChangesRequest,
        context: ServicerContext[pb.GetChangesRequest, pb.GetChangesResponse],
    ) -> pb.GetChangesResponse:
        """Return the change log after a position."""
        self._check_tailnet(request.tailnet_id)
        found = await self._policies.changes(request.after)
        records = [common_pb2.LogRecord(seq=record.seq, payload=record.payload) for record in found.records]
        return pb.GetChangesResponse(records=records, reset=found.reset, last=found.last)

    def _check_tailnet(self, tailnet: str) -> None:
        if tailnet not in ("", self._tailnet):
            raise NotFoundError(f"no such tailnet: {tailnet[:64]}")


def _check_answer(answer: Result) -> None:
    if "errors" in answer:
        raise _DocumentRefusedError(_fitting(PolicyError(Problem(line) for line in answer["errors"])))


def _fitting(error: PolicyError) -> str:
    """Return the whole text, or the first lines that fit and the number of the others."""
    kept: list[str] = []
    size = 0
    for line in error.lines:
        short = line[:1000]
        size += len(short.encode("utf-8", "replace")) * 2 + 1
        if kept and size > MAX_STATUS_TEXT:
            kept.append(f"and {len(error.lines) - len(kept)} more lines")
            break
        kept.append(short)
    return "\n".join(kept)
