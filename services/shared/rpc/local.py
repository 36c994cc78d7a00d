"""gRPC without sockets: a server and a channel of one process that generated code uses unchanged.

`add_XServicer_to_server(servicer, LocalServer())` and `XStub(LocalChannel(server))` behave as over TCP: the four kinds
of call, metadata, deadlines, status codes, interceptors, cancellation both ways, back-pressure.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Self, TypeAlias, cast

import grpc
import grpc.aio

from services.shared.rpc import client_calls
from services.shared.rpc.calling import Behaviour, Deserialize, Q, R, Serialize
from services.shared.rpc.context import LocalContext, MetadataLike, to_metadata
from services.shared.rpc.exchange import Exchange
from services.shared.rpc.pipe import PipeClosedError
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

AnyHandler: TypeAlias = "grpc.RpcMethodHandler[object, object]"
Find: TypeAlias = "Callable[[grpc.HandlerCallDetails], Awaitable[AnyHandler | None]]"


class _Details:
    """The call details that an interceptor gets."""

    __slots__ = ("invocation_metadata", "method")

    def __init__(self, method: str, invocation_metadata: grpc.aio.Metadata) -> None:
        self.method = method
        self.invocation_metadata = invocation_metadata


class LocalServer(grpc.aio.Server):
    """An in-process server that runs handlers as tasks of this loop."""

    def __init__(self, interceptors: Sequence[grpc.aio.ServerInterceptor] = ()) -> None:
        self._handlers: dict[str, AnyHandler] = {}
        self._generic: list[grpc.GenericRpcHandler] = []
        self._running: set[Exchange] = set()
        self._stopped = asyncio.Event()
        self._find: Find = self._look_up
        for interceptor in reversed(interceptors):
            self._find = _chained(interceptor, self._find)

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[grpc.GenericRpcHandler]) -> None:
        """Add handlers that are looked up by method name."""
        self._generic.extend(generic_rpc_handlers)

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, AnyHandler]) -> None:
        """Add the handlers of one service."""
        self._handlers.update({f"/{service_name}/{name}": handler for name, handler in method_handlers.items()})

    def add_insecure_port(self, address: str) -> int:
        """Refused: there are no ports in process."""
        raise NotImplementedError("a local server has no ports")

    def add_secure_port(self, address: str, server_credentials: grpc.ServerCredentials) -> int:
        """Refused: there are no ports in process."""
        raise NotImplementedError("a local server has no ports")

    async def start(self) -> None:
        """Do nothing: calls are served as soon as there are handlers."""

    async def stop(self, grace: float | None = None) -> None:
        """Refuse new calls, let the running ones finish within the grace, then end them."""
        self._stopped.set()
        tasks = [exchange.server for exchange in self._running if exchange.server is not None]
        if tasks and grace:
            await asyncio.wait(tasks, timeout=grace)
        for exchange in tuple(self._running):
            exchange.abandon(grpc.StatusCode.UNAVAILABLE, "server is stopping")
        if tasks:
            await asyncio.wait(tasks)

    @property
    def is_stopped(self) -> bool:
        """True once `stop` was called: new calls are refused."""
        return self._stopped.is_set()

    async def wait_for_termination(self, timeout: float | None = None) -> bool:
        """Wait for `stop`. Returns True if the timeout passed first."""
        try:
            async with asyncio.timeout(timeout):
                await self._stopped.wait()
        except TimeoutError:
            return True
        return False

    def begin(self, exchange: Exchange) -> None:
        """Start the handler of a call."""
        if self._stopped.is_set():
            exchange.finish(grpc.StatusCode.UNAVAILABLE, "server has stopped")
            return
        # An empty context, so that only metadata crosses to the server. A bare task: one for each call, which turns
        # every failure into the status of the call and logs it.
        exchange.server = asyncio.get_running_loop().create_task(self._serve(exchange), context=contextvars.Context())
        self._running.add(exchange)
        exchange.server.add_done_callback(lambda _task: self._running.discard(exchange))

    async def _look_up(self, details: grpc.HandlerCallDetails) -> AnyHandler | None:
        if (handler := self._handlers.get(details.method)) is not None:
            return handler
        for generic in self._generic:
            if (found := generic.service(details)) is not None:
                return found
        return None

    async def _serve(self, exchange: Exchange) -> None:
        context: LocalContext[object, object] | None = None
        try:
            handler = await self._find(cast("grpc.HandlerCallDetails", _Details(exchange.method, exchange.metadata)))
            if handler is None:
                exchange.finish(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
                return
            context = LocalContext(exchange, handler.response_serializer, handler.request_deserializer)
            await _run(handler, context)
        except asyncio.CancelledError:
            exchange.finish(grpc.StatusCode.CANCELLED, "the handler was cancelled")
        except PipeClosedError:
            exchange.finish(grpc.StatusCode.CANCELLED, "the call has ended")
        except grpc.aio.AbortError:
            assert context is not None
        except Exception as error:
            # A handler may set its status and then raise, as generated handlers of missing methods do.
            if context is None or context.code() is grpc.StatusCode.OK:
                log.exception("rpc handler failed", method=exchange.method)
                exchange.finish(grpc.StatusCode.UNKNOWN, f"unexpected {type(error).__name__}")
        if context is not None:
            exchange.finish(context.code(), context.details(), context.trailing_metadata())


def _chained(interceptor: grpc.aio.ServerInterceptor, following: Find) -> Find:
    async def find(details: grpc.HandlerCallDetails) -> AnyHandler | None:
        return await interceptor.intercept_service(following, details)

    return find


async def _run(handler: AnyHandler, context: LocalContext[object, object]) -> None:
    if handler.request_streaming:
        behaviour: object = handler.stream_stream if handler.response_streaming else handler.stream_unary
        argument: object = _requests(context)
    else:
        behaviour = handler.unary_stream if handler.response_streaming else handler.unary_unary
        argument = await context.read()
        if argument is grpc.aio.EOF:
            await context.abort(grpc.StatusCode.INTERNAL, "no request in a unary call")
    result = cast("Behaviour", behaviour)(argument, context)
    if inspect.isasyncgen(result):
        try:
            async for response in result:
                await context.write(response)
        finally:
            await result.aclose()
        return
    if inspect.isawaitable(result):
        result = await result
    if not handler.response_streaming and (result is not None or context.code() is grpc.StatusCode.OK):
        await context.write(result)


async def _requests(context: LocalContext[object, object]) -> AsyncIterator[object]:
    while (request := await context.read()) is not grpc.aio.EOF:
        yield request


class LocalChannel(grpc.aio.Channel):
    """A channel to a `LocalServer` of the same loop."""

    def __init__(self, server: LocalServer) -> None:
        self._server = server
        self._closed = False
        self._calls: set[Exchange] = set()

    def unary_unary(
        self,
        method: str,
        request_serializer: Serialize[Q] | None = None,
        response_deserializer: Deserialize[R] | None = None,
        _registered_method: bool = False,
    ) -> grpc.aio.UnaryUnaryMultiCallable[Q, R]:
        """Return what makes the calls of one method."""
        make = self._calls_of(
            method, client_calls.LocalUnaryUnaryCall, False, request_serializer, response_deserializer
        )
        return cast("grpc.aio.UnaryUnaryMultiCallable[Q, R]", make)

    def unary_stream(
        self,
        method: str,
        request_serializer: Serialize[Q] | None = None,
        response_deserializer: Deserialize[R] | None = None,
        _registered_method: bool = False,
    ) -> grpc.aio.UnaryStreamMultiCallable[Q, R]:
        """Return what makes the calls of one method."""
        make = self._calls_of(
            method, client_calls.LocalUnaryStreamCall, False, request_serializer, response_deserializer
        )
        return cast("grpc.aio.UnaryStreamMultiCallable[Q, R]", make)

    def stream_unary(
        self,
        method: str,
        request_serializer: Serialize[Q] | None = None,
        response_deserializer: Deserialize[R] | None = None,
        _registered_method: bool = False,
    ) -> grpc.aio.StreamUnaryMultiCallable[Q, R]:
        """Return what makes the calls of one method."""
        make = self._calls_of(
            method, client_calls.LocalStreamUnaryCall, True, request_serializer, response_deserializer
        )
        return cast("grpc.aio.StreamUnaryMultiCallable[Q, R]", make)

    def stream_stream(
        self,
        method: str,
        request_serializer: Serialize[Q] | None = None,
        response_deserializer: Deserialize[R] | None = None,
        _registered_method: bool = False,
    ) -> grpc.aio.StreamStreamMultiCallable[Q, R]:
        """Return what makes the calls of one method."""
        make = self._calls_of(
            method, client_calls.LocalStreamStreamCall, True, request_serializer, response_deserializer
        )
        return cast("grpc.aio.StreamStreamMultiCallable[Q, R]", make)

    def _calls_of(
        self,
        method: str,
        kind: type[client_calls.LocalCall[Q, R]],
        streams: bool,
        request_serializer: Serialize[Q] | None,
        response_deserializer: Deserialize[R] | None,
    ) -> object:
        def invoke(
            request: object = None,
            timeout: float | None = None,
            metadata: MetadataLike | None = None,
            credentials: object = None,  # noqa: ARG001  (stubs pass these three by name)
            wait_for_ready: bool | None = None,  # noqa: ARG001
            compression: object = None,  # noqa: ARG001
        ) -> client_calls.LocalCall[Q, R]:
            if self._closed:
                raise grpc.aio.UsageError("Channel is closed.")
            exchange = Exchange(method, to_metadata(metadata), timeout)
            call = kind(exchange, request_serializer, response_deserializer)
            self._calls.add(exchange)
            exchange.on_end(lambda: self._calls.discard(exchange))
            if not streams:
                call.send(cast("Q", request))
            elif request is not None:
                call.feed(cast("AsyncIterable[Q] | Iterable[Q]", request))
            self._server.begin(exchange)
            return call

        return invoke

    async def close(self, grace: float | None = None) -> None:
        """End all calls of this channel, after the grace."""
        self._closed = True
        if grace:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await asyncio.gather(*(exchange.ended() for exchange in self._calls))
        for exchange in tuple(self._calls):
            exchange.cancel()

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return READY while the server runs, as a TCP connection would, so that calls go to another replica."""
        if self._closed:
            return grpc.ChannelConnectivity.SHUTDOWN
        stopped = self._server.is_stopped
        return grpc.ChannelConnectivity.TRANSIENT_FAILURE if stopped else grpc.ChannelConnectivity.READY

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the server stops; where it has, until cancelled."""
        if self.get_state() is last_observed_state is grpc.ChannelConnectivity.READY:
            await self._server.wait_for_termination()
        elif self.get_state() is last_observed_state:
            await asyncio.get_running_loop().create_future()

    async def channel_ready(self) -> None:
        """Ready at once."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> bool | None:
        await self.close()
        return None
