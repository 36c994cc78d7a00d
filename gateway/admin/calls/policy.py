"""headscale.v1: the policy in force."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import grpc
import grpc.aio
from headscale.v1 import policy_pb2
from smartscale.policy.v1 import policy_pb2 as inner

from gateway.admin.calls import etag
from gateway.admin.calls.policy_versions import EVALUATION_DEADLINE
from gateway.admin.context import CallContext
from gateway.admin.refusal import Refused
from gateway.admin.services import Services

_UNREADABLE, _REFUSED = "reading policy:", "parsing policy:"
"""Leads of the policy service's refusals: of a text that cannot be parsed, and of the contents of a document."""


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
        wanted = inner.SetPolicyRequest(
            text=request.policy,
            author=call.caller.actor,
            if_match=await etag.to_replace(self._services, call),
        )
        with _headscale_words():
            answer = await call.ask(self._services.policy.SetPolicy, wanted, EVALUATION_DEADLINE)
        call.etag = answer.version.etag
        return policy_pb2.SetPolicyResponse(policy=answer.version.text, updated_at=answer.version.created_at)

    async def CheckPolicy(
        self, request: policy_pb2.CheckPolicyRequest, call: CallContext
    ) -> policy_pb2.CheckPolicyResponse:
        """Check a policy without putting it in force."""
        wanted = inner.CheckPolicyRequest(text=request.policy)
        with _headscale_words():
            await call.ask(self._services.policy.CheckPolicy, wanted, EVALUATION_DEADLINE)
        return policy_pb2.CheckPolicyResponse()


@contextlib.contextmanager
def _headscale_words() -> Iterator[None]:
    """Put the words that web UIs search for in front of refusals of a policy: which of its two readers refused."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
            raise
        text = error.details() or ""
        if text.startswith(_UNREADABLE):
            text = f"parsing HuJSON: {text.removeprefix(_UNREADABLE).strip()}"
        else:
            text = f"parsing policy from bytes: {text.removeprefix(_REFUSED).strip()}"
        raise Refused(error.code(), text) from None
