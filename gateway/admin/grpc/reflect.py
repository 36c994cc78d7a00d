"""Reflection as Go servers give it: descriptors name the JSON spelling of each field.

Python's descriptors leave `json_name` out, and grpcurl then prints `database_connectivity` where scripts expect
`databaseConnectivity`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

import grpc.aio
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from gateway.admin.json_names import json_name


class Reflection(reflection.aio.ReflectionServicer):  # type: ignore[misc]
    """Tells what services there are, with JSON names."""

    async def ServerReflectionInfo(self, request_iterator: Any, unused_context: Any) -> AsyncIterator[Any]:
        """Answer each question."""
        async for response in super().ServerReflectionInfo(request_iterator, unused_context):
            files = response.file_descriptor_response.file_descriptor_proto
            for index, raw in enumerate(files):
                files[index] = _named(raw)
            yield response


def add_to(server: grpc.aio.Server, services: Sequence[str]) -> None:
    """Offer reflection of these services, and of itself."""
    servicer = Reflection((*services, reflection.SERVICE_NAME))
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)


def _named(raw: bytes) -> bytes:
    file = FileDescriptorProto.FromString(raw)
    _name(file.message_type)
    return file.SerializeToString()


def _name(messages: Iterable[DescriptorProto]) -> None:
    for message in messages:
        for field in message.field:
            field.json_name = json_name(field.name)
        _name(message.nested_type)
