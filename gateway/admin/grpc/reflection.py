"""Answers to reflection as Go servers give them: with JSON names of fields, for methods too, to known callers.

Python's descriptors leave `json_name` out, and grpcurl then prints `database_connectivity` where scripts expect
`databaseConnectivity`; its descriptor pool finds no methods, and `grpcurl describe SERVICE.METHOD` then finds nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from grpc_reflection.v1alpha import reflection

from gateway.admin.json_names import json_name

Admit = Callable[[Any], Awaitable[None]]
"""Ends a call, by its gRPC context, if its caller is unknown."""


class Reflection(reflection.aio.ReflectionServicer):  # type: ignore[misc]
    """Describes services, with JSON names."""

    def __init__(self, services: Sequence[str], admit: Admit) -> None:
        super().__init__(services)
        self._admit = admit

    async def ServerReflectionInfo(self, request_iterator: Any, unused_context: Any) -> AsyncIterator[Any]:
        """Answer each question."""
        admitted = self._admitted(request_iterator, unused_context)
        async for response in super().ServerReflectionInfo(admitted, unused_context):
            files = response.file_descriptor_response.file_descriptor_proto
            for index, raw in enumerate(files):
                files[index] = _named(raw)
            yield response

    async def _admitted(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        """Pass questions on once the caller is known: at the first one, so that a refusal reaches who still sends."""
        known = False
        async for request in requests:
            if not known:
                await self._admit(context)
                known = True
            yield request

    def _file_containing_symbol(self, request: Any, fully_qualified_name: str) -> Any:
        """Find a symbol; the file of a method is that of its service."""
        found = super()._file_containing_symbol(request, fully_qualified_name)
        owner, _, method = fully_qualified_name.rpartition(".")
        if found.HasField("error_response") and owner in self._service_names and method:
            service = self._pool.FindServiceByName(owner)
            if method in service.methods_by_name:
                return super()._file_containing_symbol(request, owner)
        return found


def _named(raw: bytes) -> bytes:
    file = FileDescriptorProto.FromString(raw)
    _name(file.message_type)
    return file.SerializeToString()


def _name(messages: Iterable[DescriptorProto]) -> None:
    for message in messages:
        for field in message.field:
            field.json_name = json_name(field.name)
        _name(message.nested_type)
