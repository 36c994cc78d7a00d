"""smartscale.admin.v1: versions of the policy, checks, explanations, previews."""

from __future__ import annotations

import grpc
from smartscale.admin.v1 import policy_pb2 as pb
from smartscale.policy.v1 import policy_pb2 as inner
from smartscale.types.v1 import policy_pb2 as policy_types

from gateway.admin.calls import etag
from gateway.admin.context import CallContext
from gateway.admin.refusal import Refused, invalid
from gateway.admin.services import Services

EVALUATION_DEADLINE = 300.0
"""Deadline in seconds of calls that evaluate a whole tailnet: a preview of 100,000 nodes takes 40 s of a quiet core."""


class PolicyVersions:
    """Calls about versions of the policy, and about policies that are not in force."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def GetPolicy(self, request: pb.GetPolicyRequest, call: CallContext) -> pb.GetPolicyResponse:
        """Return a version of the policy."""
        return pb.GetPolicyResponse(version=await self._version(call, request.number))

    async def SetPolicy(self, request: pb.SetPolicyRequest, call: CallContext) -> pb.SetPolicyResponse:
        """Put a policy in force."""
        answer = await self._set(call, request.text, request.reason, request.if_match)
        return pb.SetPolicyResponse(version=answer.version, warnings=answer.warnings)

    async def CheckPolicy(self, request: pb.CheckPolicyRequest, call: CallContext) -> pb.CheckPolicyResponse:
        """Check a policy without putting it in force."""
        answer = await call.ask(
            self._services.policy.CheckPolicy,
            inner.CheckPolicyRequest(text=request.text),
            EVALUATION_DEADLINE,
        )
        return pb.CheckPolicyResponse(warnings=answer.warnings)

    async def ListVersions(self, request: pb.ListVersionsRequest, call: CallContext) -> pb.ListVersionsResponse:
        """List the versions, newest first."""
        answer = await call.ask(
            self._services.policy.ListVersions, inner.ListVersionsRequest(limit=request.limit, before=request.before)
        )
        return pb.ListVersionsResponse(versions=answer.versions)

    async def DiffVersions(self, request: pb.DiffVersionsRequest, call: CallContext) -> pb.DiffVersionsResponse:
        """Compare two versions."""
        first, second = await self._version(call, request.number), await self._version(call, request.other)
        import difflib  # late: few processes are ever asked for a comparison

        lines = difflib.unified_diff(
            first.text.splitlines(),
            second.text.splitlines(),
            f"version {first.number}",
            f"version {second.number}",
            first.created_at.ToJsonString(),
            second.created_at.ToJsonString(),
            lineterm="",
        )
        answer = pb.DiffVersionsResponse(first=first, second=second, lines=lines)
        answer.first.text = answer.second.text = ""
        return answer

    async def RollBackPolicy(self, request: pb.RollBackPolicyRequest, call: CallContext) -> pb.RollBackPolicyResponse:
        """Put an earlier version in force again, as a new version."""
        if not request.number:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "number: missing; give the version to return to")
        earlier = await self._version(call, request.number)
        reason = request.reason or f"roll back to version {request.number}"
        answer = await self._set(call, earlier.text, reason, request.if_match)
        return pb.RollBackPolicyResponse(version=answer.version, warnings=answer.warnings)

    async def ExplainPolicy(self, request: pb.ExplainPolicyRequest, call: CallContext) -> pb.ExplainPolicyResponse:
        """Explain which rules decide about a connection."""
        answer = await call.ask(
            self._services.policy.ExplainPolicy,
            inner.ExplainPolicyRequest(
                source=request.source,
                destination=request.destination,
                protocol=request.protocol,
                text=request.text,
            ),
            EVALUATION_DEADLINE,
        )
        return pb.ExplainPolicyResponse(allowed=answer.allowed, answers=answer.answers)

    async def PreviewPolicy(self, request: pb.PreviewPolicyRequest, call: CallContext) -> pb.PreviewPolicyResponse:
        """Show what a policy would change, and for which nodes."""
        answer = await call.ask(
            self._services.policy.PreviewPolicy,
            inner.PreviewPolicyRequest(text=request.text),
            EVALUATION_DEADLINE,
        )
        return pb.PreviewPolicyResponse(
            differences=answer.differences, unchanged=answer.unchanged, warnings=answer.warnings
        )

    async def PreviewRules(self, request: pb.PreviewRulesRequest, call: CallContext) -> pb.PreviewRulesResponse:
        """Return the rules of a policy that concern one user or one destination."""
        if bool(request.user) == bool(request.destination):
            raise invalid("user", "give either a user or a destination")
        wanted = inner.PreviewRulesRequest(text=request.text, user=request.user, destination=request.destination)
        answer = await call.ask(self._services.policy.PreviewRules, wanted, EVALUATION_DEADLINE)
        return pb.PreviewRulesResponse(matches=answer.matches)

    async def _version(self, call: CallContext, number: int) -> policy_types.PolicyVersion:
        answer = await call.ask(self._services.policy.GetPolicy, inner.GetPolicyRequest(number=number))
        version: policy_types.PolicyVersion = answer.version
        return version

    async def _set(self, call: CallContext, text: str, reason: str, if_match: str) -> inner.SetPolicyResponse:
        answer: inner.SetPolicyResponse = await call.ask(
            self._services.policy.SetPolicy,
            inner.SetPolicyRequest(
                text=text,
                author=call.caller.actor,
                reason=reason,
                if_match=if_match.removeprefix("W/").strip('"') or await etag.to_replace(self._services, call),
            ),
            EVALUATION_DEADLINE,
        )
        call.etag = answer.version.etag
        return answer
