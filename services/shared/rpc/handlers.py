"""Registers unary methods by their descriptor, for servers whose methods share one implementation.

Generated `add_XServicer_to_server` functions want an instance of a servicer class with one method for each RPC. A
server that passes every RPC through the same steps has only a function of the method's name. Knows no service.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc.aio import ServicerContext

UnaryBehaviour = Callable[[Message, "ServicerContext[Message, Message]"], Awaitable[Message]]


def add_unary_methods(
    server: grpc.aio.Server, service: ServiceDescriptor, behaviour_of: Callable[[str], UnaryBehaviour]
) -> None:
    """Register a service whose methods all have one request and one response.

    `behaviour_of` gets the name of each method and returns what answers it.

    Raises:
        ValueError: a method of the service streams.
    """
    handlers = {name: _handler(method, behaviour_of(name)) for name, method in service.methods_by_name.items()}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))


def _handler(method: MethodDescriptor, behaviour: UnaryBehaviour) -> grpc.RpcMethodHandler[Message, Message]:
    if method.client_streaming or method.server_streaming:
        raise ValueError(f"{method.full_name} streams")
    return grpc.unary_unary_rpc_method_handler(
        behaviour,
        request_deserializer=GetMessageClass(method.input_type).FromString,
        response_serializer=GetMessageClass(method.output_type).SerializeToString,
    )
