"""smartscale.admin.v1: the policy its versions, conditions, explanations. Adds who asks and the live tailnet."""

from __future__ import annotations

import difflib

import grpc
import grpc.aio
from smartscale.admin.v1 import policy_pb2 as pb
from smartscale.policy.v1 import policy_pb2 as inner
from smartscale.types.v1 import policy_pb2 as policy_types

from gateway.admin import answering, author, etag
from gateway.admin.stubs import DEADLINE, Refused, Services

SERVICE = pb.DESCRIPTOR.services_by_name["PolicyAdminService"]
NAME = SERVICE.full_name

SLOW = 30.0
"""Seconds for what evaluates a whole tailnet twice."""


class PolicyAdmin:
    """The calls, against the policy service."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def GetPolicy(self, request: pb.GetPolicyRequest) -> pb.GetPolicyResponse:
        """Return a version of the policy."""
        return pb.GetPolicyResponse(version=await self._version(request.number))

    async def SetPolicy(self, request: pb.SetPolicyRequest) -> pb.SetPolicyResponse:
        """Put a policy in force."""
        answer = await self._set(request.text, request.reason, request.if_match)
        return pb.SetPolicyResponse(version=answer.version, warnings=answer.warnings)

    async def CheckPolicy(self, request: pb.CheckPolicyRequest) -> pb.CheckPolicyResponse:
        """Check a policy without putting it in force."""
        answer = await self._services.policy.CheckPolicy(
            inner.CheckPolicyRequest(text=request.text, population=await self._services.population()), timeout=DEADLINE
        )
        return pb.CheckPolicyResponse(warnings=answer.warnings)

    async def ListVersions(self, request: pb.ListVersionsRequest) -> pb.ListVersionsResponse:
        """List the versions, newest first."""
        answer = await self._services.policy.ListVersions(
            inner.ListVersionsRequest(limit=request.limit, before=request.before), timeout=DEADLINE
        )
        return pb.ListVersionsResponse(versions=answer.versions)

    async def DiffVersions(self, request: pb.DiffVersionsRequest) -> pb.DiffVersionsResponse:
        """Say what differs between two versions."""
        first, second = await self._version(request.number), await self._version(request.other)
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

    async def RollBackPolicy(self, request: pb.RollBackPolicyRequest) -> pb.RollBackPolicyResponse:
        """Put an earlier version in force again, as a new version."""
        if not request.number:
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, "number: say which version to return to")
        earlier = await self._version(request.number)
        reason = request.reason or f"roll back to version {request.number}"
        answer = await self._set(earlier.text, reason, request.if_match)
        return pb.RollBackPolicyResponse(version=answer.version, warnings=answer.warnings)

    async def ExplainPolicy(self, request: pb.ExplainPolicyRequest) -> pb.ExplainPolicyResponse:
        """Say which rules decide."""
        answer = await self._services.policy.ExplainPolicy(
            inner.ExplainPolicyRequest(
                source=request.source,
                destination=request.destination,
                protocol=request.protocol,
                text=request.text,
                population=await self._services.population(),
            ),
            timeout=SLOW,
        )
        return pb.ExplainPolicyResponse(allowed=answer.allowed, answers=answer.answers)

    async def PreviewPolicy(self, request: pb.PreviewPolicyRequest) -> pb.PreviewPolicyResponse:
        """Say what would change for whom."""
        answer = await self._services.policy.PreviewPolicy(
            inner.PreviewPolicyRequest(text=request.text, population=await self._services.population()), timeout=SLOW
        )
        return pb.PreviewPolicyResponse(
            differences=answer.differences, unchanged=answer.unchanged, warnings=answer.warnings
        )

    async def _version(self, number: int) -> policy_types.PolicyVersion:
        answer = await self._services.policy.GetPolicy(inner.GetPolicyRequest(number=number), timeout=DEADLINE)
        version: policy_types.PolicyVersion = answer.version
        return version

    async def _set(self, text: str, reason: str, if_match: str) -> inner.SetPolicyResponse:
        answer: inner.SetPolicyResponse = await self._services.policy.SetPolicy(
            inner.SetPolicyRequest(
                text=text,
                author=author.current(),
                reason=reason,
                if_match=if_match.removeprefix("W/").strip('"') or await etag.replaced(self._services),
                population=await self._services.population(),
            ),
            timeout=DEADLINE,
        )
        etag.note(answer.version.etag)
        return answer


def add_to(server: grpc.aio.Server, calls: PolicyAdmin) -> None:
    """Register the service; every failure becomes a status with a text for people."""
    answering.add_to(server, SERVICE, calls)
