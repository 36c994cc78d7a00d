"""headscale.v1: the policy in force."""

from __future__ import annotations

from headscale.v1 import policy_pb2
from smartscale.policy.v1 import policy_pb2 as inner

from gateway.admin.calls import etag
from gateway.admin.context import CallContext
from gateway.admin.services import Services


class Policy:
    """Calls about the policy in force."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def GetPolicy(self, request: policy_pb2.GetPolicyRequest, call: CallContext) -> policy_pb2.GetPolicyResponse:
        """Return the policy in force."""
        answer = await call.ask(self._services.policy.GetPolicy, inner.GetPolicyRequest())
        call.etag = answer.version.etag
        return policy_pb2.GetPolicyResponse(policy=answer.version.text, updated_at=answer.version.created_at)

    async def SetPolicy(self, request: policy_pb2.SetPolicyRequest, call: CallContext) -> policy_pb2.SetPolicyResponse:
        """Put a policy in force."""
        answer = await call.ask(
            self._services.policy.SetPolicy,
            inner.SetPolicyRequest(
                text=request.policy,
                author=call.caller.actor,
                if_match=await etag.to_replace(self._services, call),
                population=await self._services.population(call),
            ),
        )
        call.etag = answer.version.etag
        return policy_pb2.SetPolicyResponse(policy=answer.version.text, updated_at=answer.version.created_at)

    async def CheckPolicy(
        self, request: policy_pb2.CheckPolicyRequest, call: CallContext
    ) -> policy_pb2.CheckPolicyResponse:
        """Check a policy without putting it in force."""
        await call.ask(
            self._services.policy.CheckPolicy,
            inner.CheckPolicyRequest(text=request.policy, population=await self._services.population(call)),
        )
        return policy_pb2.CheckPolicyResponse()
