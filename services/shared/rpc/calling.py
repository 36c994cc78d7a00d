"""The types of one call: the channel that generated stubs use, and the behaviour that generated handlers wrap.

The annotations of grpcio know neither `_registered_method`, which generated code passes, nor handlers that are
coroutine functions; both are described here once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias, TypeVar

import grpc
import grpc.aio

Q = TypeVar("Q")
"""The request of an RPC."""
R = TypeVar("R")
"""The response of an RPC."""

Serialize: TypeAlias = Callable[[Q], bytes]
Deserialize: TypeAlias = Callable[[bytes], R]

Context: TypeAlias = "grpc.aio.ServicerContext[object, object]"
Behaviour: TypeAlias = Callable[[object, Context], object]
"""The handler of one call: returns an awaitable, an async iterator or a plain response."""
Handler: TypeAlias = "grpc.RpcMethodHandler[Q, R]"
Continue: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Q, R] | None]]"


class Channel(Protocol):
    """A channel as generated stubs call it."""

    def unary_unary(
        self,
        method: str,
        request_serializer: Serialize[Q] | None = None,
        response_deserializer: Deserialize[R] | None = None,
        _registered_method: bool = False,
    ) -> grpc.aio.UnaryUnaryMultiCallable[Q, R]:
        """Return what makes the calls of one method."""
        ...

    def unary_stream(
        self,
        method: str,
        request_serializer: Serialize[Q] | None = None,
        response_deserializer: Deserialize[R] | None = None,
        _registered_method: bool = False,
    ) -> grpc.aio.UnaryStreamMultiCallable[Q, R]:
        """Return what makes the calls of one method."""
        ...

    def stream_unary(
        self,
        method: str,
        request_serializer: Serialize[Q] | None = None,
        response_deserializer: Deserialize[R] | None = None,
        _registered_method: bool = False,
    ) -> grpc.aio.StreamUnaryMultiCallable[Q, R]:
        """Return what makes the calls of one method."""
        ...

    def stream_stream(
        self,
        method: str,
        request_serializer: Serialize[Q] | None = None,
        response_deserializer: Deserialize[R] | None = None,
        _registered_method: bool = False,
    ) -> grpc.aio.StreamStreamMultiCallable[Q, R]:
        """Return what makes the calls of one method."""
        ...
