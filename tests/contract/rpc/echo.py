"""A service written by hand, with one method of each kind, for the contract of servers and channels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
from google.protobuf.wrappers_pb2 import StringValue

from services.shared.rpc import answers, machine_key_of

NAME = "smartscale.test.EchoService"


class TooOddError(Exception):
    """What the table of the servicer knows."""


class Generated:
    """As generated code does it for a method that nobody wrote."""

    def Unwritten(self, request: StringValue, context: Any) -> None:
        context.set_code(grpc.StatusCode.UNIMPLEMENTED)
        context.set_details("Method not implemented!")
        raise NotImplementedError("Method not implemented!")


@answers({TooOddError: grpc.StatusCode.FAILED_PRECONDITION})
class EchoServicer(Generated):
    """Answers what it is told; counts what it saw."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.ended = asyncio.Event()
        self.done_callbacks = asyncio.Event()
        self.written = 0
        self.received: list[str] = []
        self.last_request: StringValue | None = None

    async def One(self, request: StringValue, context: Any) -> StringValue:
        self.last_request = request
        self.started.set()
        match request.value:
            case "abort":
                await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing", (("why", "gone"),))
            case "set code":
                context.set_code(grpc.StatusCode.RESOURCE_EXHAUSTED)
                context.set_details("too much")
            case "odd":
                raise TooOddError("it is odd")
            case "crash":
                raise RuntimeError("secret detail")
            case "who":
                return StringValue(value=str(machine_key_of(context)))
            case "remaining":
                return StringValue(value="yes" if 0 < context.time_remaining() < 6 else "no")
            case "trailing":
                await context.send_initial_metadata((("first", "1"),))
                context.set_trailing_metadata((("last", "2"),))
            case "wait":
                await self._wait(context)
        return StringValue(value=f"one {request.value}")

    async def Many(self, request: StringValue, context: Any) -> AsyncIterator[StringValue]:
        self.started.set()
        for number in range(int(request.value)):
            self.written = number
            yield StringValue(value=f"{number}" + "x" * 2000)
            if number == 3 and request.value == "5":
                await context.abort(grpc.StatusCode.ABORTED, "stopped half way")
            if number == 3 and request.value == "6":
                raise TooOddError("odd in the middle")
        if request.value == "0":
            await self._wait(context)

    async def Collect(self, requests: AsyncIterator[StringValue], context: Any) -> StringValue:
        async for request in requests:
            self.received.append(request.value)
        return StringValue(value=",".join(self.received))

    async def Talk(self, requests: AsyncIterator[StringValue], context: Any) -> AsyncIterator[StringValue]:
        context.add_done_callback(lambda _context: self.done_callbacks.set())
        self.started.set()
        try:
            async for request in requests:
                if request.value == "bye":
                    return
                yield StringValue(value=f"heard {request.value}")
        finally:
            self.ended.set()

    async def _wait(self, context: Any) -> None:
        context.add_done_callback(lambda _context: self.done_callbacks.set())
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    def add_to(self, server: grpc.aio.Server) -> None:
        """As generated code does it."""
        coders = (StringValue.FromString, StringValue.SerializeToString)
        handlers = {
            "One": grpc.unary_unary_rpc_method_handler(self.One, *coders),
            "Many": grpc.unary_stream_rpc_method_handler(self.Many, *coders),
            "Unwritten": grpc.unary_unary_rpc_method_handler(self.Unwritten, *coders),
            "Collect": grpc.stream_unary_rpc_method_handler(self.Collect, *coders),
            "Talk": grpc.stream_stream_rpc_method_handler(self.Talk, *coders),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(NAME, handlers),))
        server.add_registered_method_handlers(NAME, handlers)


class EchoStub:
    """As generated code does it."""

    def __init__(self, channel: Any) -> None:
        coders: dict[str, Any] = {
            "request_serializer": StringValue.SerializeToString,
            "response_deserializer": StringValue.FromString,
            "_registered_method": True,
        }
        self.One = channel.unary_unary(f"/{NAME}/One", **coders)
        self.Many = channel.unary_stream(f"/{NAME}/Many", **coders)
        self.Collect = channel.stream_unary(f"/{NAME}/Collect", **coders)
        self.Talk = channel.stream_stream(f"/{NAME}/Talk", **coders)
        self.Unwritten = channel.unary_unary(f"/{NAME}/Unwritten", **coders)
        self.Absent = channel.unary_unary(f"/{NAME}/Absent", **coders)
