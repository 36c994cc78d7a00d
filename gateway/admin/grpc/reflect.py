"""Offers reflection on a gRPC server, in both versions of its protocol. Loads what answers at the first question."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

if TYPE_CHECKING:
    from gateway.admin.grpc.reflection import Admit, Reflection

NAMES = ("grpc.reflection.v1alpha.ServerReflection", "grpc.reflection.v1.ServerReflection")
"""Both versions of the protocol; their messages are the same on the wire."""


def add_to(server: grpc.aio.Server, services: Sequence[str], admit: Admit) -> None:
    """Offer reflection of these services, and of itself."""
    handler = grpc.stream_stream_rpc_method_handler(
        _Late((*services, *NAMES), admit).answer,
        request_deserializer=_request,
        response_serializer=_response,
    )
    methods = {"ServerReflectionInfo": handler}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(name, methods) for name in NAMES])


class _Late:
    """The servicer, made for the first call."""

    def __init__(self, services: Sequence[str], admit: Admit) -> None:
        self._services, self._admit = services, admit
        self._servicer: Reflection | None = None

    async def answer(self, requests: Any, context: Any) -> AsyncIterator[Any]:
        """Answer each question."""
        if self._servicer is None:
            from gateway.admin.grpc.reflection import Reflection

            self._servicer = Reflection(self._services, self._admit)
        async for response in self._servicer.ServerReflectionInfo(requests, context):
            yield response


def _request(data: bytes) -> Any:
    from grpc_reflection.v1alpha import reflection_pb2

    return reflection_pb2.ServerReflectionRequest.FromString(data)


def _response(message: Any) -> bytes:
    serialized: bytes = message.SerializeToString()
    return serialized
