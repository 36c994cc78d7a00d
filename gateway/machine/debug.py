"""Questions to connected nodes over gRPC, for administrators and tests: only translates."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio
from smartscale.gateway.v1 import gateway_pb2 as pb
from smartscale.gateway.v1 import gateway_pb2_grpc as pb_grpc

from gateway.machine.c2n import BadAnswerError, NodeNotConnectedError, Questions
from services.shared.rpc.errors import answers

NAME = pb.DESCRIPTOR.services_by_name["DebugService"].full_name
DEADLINE = 30.0

Context = grpc.aio.ServicerContext[Any, Any]


@answers(
    {
        NodeNotConnectedError: grpc.StatusCode.NOT_FOUND,
        BadAnswerError: grpc.StatusCode.UNKNOWN,
        TimeoutError: grpc.StatusCode.DEADLINE_EXCEEDED,
        ValueError: grpc.StatusCode.INVALID_ARGUMENT,
    }
)
class DebugServicer(pb_grpc.DebugServiceServicer):
    """`smartscale.gateway.v1.DebugService`."""

    def __init__(self, questions: Questions) -> None:
        self._questions = questions

    async def C2n(self, request: pb.C2nRequest, context: Context) -> pb.C2nResponse:
        """Let a node handle an HTTP request."""
        method = request.method or "GET"
        answer = await self._questions.c2n(request.node_id, method, request.path, request.body, _wait(context))
        return pb.C2nResponse(status=answer.status, body=answer.body)

    async def Ping(self, request: pb.PingRequest, context: Context) -> pb.PingResponse:
        """Let a node ping, or prove that it is there."""
        if not request.types:
            await self._questions.alive(request.node_id, _wait(context))
            return pb.PingResponse()
        result = await self._questions.ping(request.node_id, request.address, request.types, _wait(context))
        return pb.PingResponse(result=result)


def _wait(context: Context) -> float:
    remaining = context.time_remaining()
    return DEADLINE if remaining is None else min(remaining, DEADLINE)


def add_to(server: grpc.aio.Server, questions: Questions) -> None:
    """Offer the service on a server."""
    pb_grpc.add_DebugServiceServicer_to_server(DebugServicer(questions), server)  # type: ignore[no-untyped-call]
