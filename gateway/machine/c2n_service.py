"""The gRPC service of `c2n`: queries to nodes of this worker or a sibling, for administrators. Translates only.

Where several workers share a port, a node that is not connected to this worker may be connected to a sibling, so the
request is passed on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from smartscale.gateway.v1 import gateway_pb2 as pb
from smartscale.gateway.v1 import gateway_pb2_grpc as pb_grpc

from gateway.machine.c2n import BadAnswerError, NodeNotConnectedError, NodeQueries
from services.shared.rpc.errors import answers

NAME = pb.DESCRIPTOR.services_by_name["DebugService"].full_name
DEADLINE = 30.0

Context = grpc.aio.ServicerContext[Any, Any]

_FROM_BESIDE = "smartscale-asked-by-worker"
_NOT_THERE = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE)


class SiblingWorkers:
    """The workers that share the ports of this one, by their unix sockets."""

    def __init__(self, sockets: Sequence[Path] = ()) -> None:
        self._sockets = tuple(sockets)

    async def ask(self, method: str, request: Any, wait: float) -> Any:
        """Return the answer of the worker that the node is connected to, or None if there is none.

        Raises:
            AioRpcError: that one has no answer.
        """
        for path in self._sockets:
            # No size limit here: an answer may contain a netmap, and the worker that received it has applied the limit.
            options = (("grpc.max_receive_message_length", -1),)
            async with grpc.aio.insecure_channel(f"unix:{path}", options) as channel:
                stub = pb_grpc.DebugServiceStub(channel)
                try:
                    return await getattr(stub, method)(request, timeout=wait, metadata=((_FROM_BESIDE, "1"),))
                except grpc.aio.AioRpcError as error:
                    if error.code() not in _NOT_THERE:
                        raise
        return None


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

    def __init__(self, queries: NodeQueries, siblings: SiblingWorkers) -> None:
        self._queries = queries
        self._siblings = siblings

    async def C2n(
        self, request: pb.C2nRequest, context: grpc.aio.ServicerContext[pb.C2nRequest, pb.C2nResponse]
    ) -> pb.C2nResponse:
        """Have a node handle an HTTP request."""

        async def here(wait: float) -> pb.C2nResponse:
            method = request.method or "GET"
            answer = await self._queries.c2n(request.node_id, method, request.path, request.body, wait)
            return pb.C2nResponse(status=answer.status, body=answer.body)

        answer: pb.C2nResponse = await self._local_or_sibling("C2n", request, context, here)
        return answer

    async def Ping(
        self, request: pb.PingRequest, context: grpc.aio.ServicerContext[pb.PingRequest, pb.PingResponse]
    ) -> pb.PingResponse:
        """Have a node ping an address, or just answer."""

        async def here(wait: float) -> pb.PingResponse:
            if not request.types:
                await self._queries.alive(request.node_id, wait)
                return pb.PingResponse()
            result = await self._queries.ping(request.node_id, request.address, request.types, wait)
            return pb.PingResponse(result=result)

        answer: pb.PingResponse = await self._local_or_sibling("Ping", request, context, here)
        return answer

    async def _local_or_sibling(
        self, method: str, request: Any, context: Context, here: Callable[[float], Awaitable[Any]]
    ) -> Any:
        try:
            return await here(_wait(context))
        except NodeNotConnectedError:
            if any(key == _FROM_BESIDE for key, _ in context.invocation_metadata() or ()):
                raise
            try:
                answer = await self._siblings.ask(method, request, _wait(context))
            except grpc.aio.AioRpcError as error:
                await context.abort(error.code(), error.details() or "")
            if answer is None:
                raise
            return answer


def _wait(context: Context) -> float:
    remaining = context.time_remaining()
    return DEADLINE if remaining is None else min(remaining, DEADLINE)


def add_to(server: grpc.aio.Server, queries: NodeQueries, siblings: SiblingWorkers) -> None:
    """Offer the service on a server."""
    servicer = DebugServicer(queries, siblings)
    pb_grpc.add_DebugServiceServicer_to_server(servicer, server)
