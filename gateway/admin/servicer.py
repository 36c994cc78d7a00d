"""headscale.v1.HeadscaleService: the whole service, put together, with its policy and health calls."""

from __future__ import annotations

from typing import Any, Never

import grpc
import grpc.aio
from google.protobuf.message import Message
from grpc.aio import ServicerContext
from headscale.v1 import headscale_pb2, headscale_pb2_grpc, policy_pb2
from smartscale.policy.v1 import policy_pb2 as inner
from smartscale.registry.v1 import registry_pb2

from gateway.admin import author, etag, policy_admin, server_admin, user_admin
from gateway.admin.checks import check
from gateway.admin.devices import Devices
from gateway.admin.metrics import AdminMetrics
from gateway.admin.people import People
from gateway.admin.policy_admin import PolicyAdmin
from gateway.admin.server_admin import ServerAdmin
from gateway.admin.stubs import DEADLINE, Refused, Services
from gateway.admin.user_admin import UserAdmin
from services.shared.rpc.handlers import UnaryBehaviour, add_unary_methods
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

_SERVICE = headscale_pb2.DESCRIPTOR.services_by_name["HeadscaleService"]
HEADSCALE = _SERVICE.full_name


class Documents:
    """The calls about the policy, and health."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def GetPolicy(self, request: policy_pb2.GetPolicyRequest, context: Any) -> policy_pb2.GetPolicyResponse:
        """Return the policy in force."""
        answer = await self._services.policy.GetPolicy(inner.GetPolicyRequest(), timeout=DEADLINE)
        etag.note(answer.version.etag)
        return policy_pb2.GetPolicyResponse(policy=answer.version.text, updated_at=answer.version.created_at)

    async def SetPolicy(self, request: policy_pb2.SetPolicyRequest, context: Any) -> policy_pb2.SetPolicyResponse:
        """Put a policy in force."""
        answer = await self._services.policy.SetPolicy(
            inner.SetPolicyRequest(
                text=request.policy,
                author=author.current(),
                if_match=await etag.replaced(self._services),
                population=await self._services.population(),
            ),
            timeout=DEADLINE,
        )
        etag.note(answer.version.etag)
        return policy_pb2.SetPolicyResponse(policy=answer.version.text, updated_at=answer.version.created_at)

    async def CheckPolicy(self, request: policy_pb2.CheckPolicyRequest, context: Any) -> policy_pb2.CheckPolicyResponse:
        """Check a policy without putting it in force."""
        await self._services.policy.CheckPolicy(
            inner.CheckPolicyRequest(text=request.policy, population=await self._services.population()),
            timeout=DEADLINE,
        )
        return policy_pb2.CheckPolicyResponse()

    async def Health(self, request: headscale_pb2.HealthRequest, context: Any) -> headscale_pb2.HealthResponse:
        """Say whether the database answers."""
        try:
            await self._services.registry.VerifyNodeKey(
                registry_pb2.VerifyNodeKeyRequest(node_key=bytes(31) + b"\1"), timeout=3.0
            )
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                return headscale_pb2.HealthResponse(database_connectivity=False)
        return headscale_pb2.HealthResponse(database_connectivity=True)


class HeadscaleServicer(People, Devices, Documents, headscale_pb2_grpc.HeadscaleServiceServicer):
    """All calls of the public administration service."""

    def __init__(self, services: Services) -> None:
        self._services = services


class Calls:
    """Every call by name, checked, with every failure as a `Refused`: what all wires have in common."""

    def __init__(self, services: Services, metrics: AdminMetrics) -> None:
        self._servicer = HeadscaleServicer(services)
        self._ours = {
            policy_admin.NAME: PolicyAdmin(services),
            user_admin.NAME: UserAdmin(services),
            server_admin.NAME: ServerAdmin(services),
        }
        self._metrics = metrics

    async def call(self, name: str, request: Message, service: str = HEADSCALE) -> Message:
        """Make one call, of headscale.v1 if nothing else is said.

        Raises:
            Refused: it cannot be done as asked.
        """
        status = "OK"
        try:
            return await self._call(name, request, service)
        except Refused as refusal:
            status = refusal.code.name
            raise
        finally:
            self._metrics.calls.labels(name, status).inc()

    async def _call(self, name: str, request: Message, service: str) -> Message:
        check(request)
        try:
            if service in self._ours:
                return await getattr(self._ours[service], name)(request)  # type: ignore[no-any-return]
            answer: Message = await getattr(self._servicer, name)(request, None)
        except grpc.aio.AioRpcError as error:
            raise Refused(error.code(), error.details() or "") from None
        except Refused:
            raise
        except Exception:
            log.exception("administration call failed", call=name)
            raise Refused(grpc.StatusCode.INTERNAL, "internal error") from None
        return answer


def add_to(server: grpc.aio.Server, calls: Calls) -> None:
    """Register the service; every failure becomes a status with a text for people."""
    add_unary_methods(server, _SERVICE, lambda name: _answering(calls, name))


async def abort(context: ServicerContext[Message, Message], refusal: Refused) -> Never:
    """End a gRPC call with a refusal."""
    if refusal.retry_after:
        context.set_trailing_metadata((("retry-after", str(refusal.retry_after)),))
    await context.abort(refusal.code, str(refusal))


def _answering(calls: Calls, name: str) -> UnaryBehaviour:
    async def answer(request: Message, context: ServicerContext[Message, Message]) -> Message:
        author.note_peer(context)
        try:
            return await calls.call(name, request)
        except Refused as refusal:
            await abort(context, refusal)

    return answer
