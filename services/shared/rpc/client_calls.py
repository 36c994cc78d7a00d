"""The client side of an in-process call: the four call objects of grpc.aio over one `Exchange`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Generator, Iterable
from typing import Generic, cast

import grpc
import grpc.aio

from services.shared.rpc.calling import Q, R
from services.shared.rpc.exchange import Exchange
from services.shared.rpc.pipe import PipeClosedError
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

_EOF = grpc.aio.EOF


def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()


class LocalCall(Generic[Q, R], grpc.aio.Call):
    """Base of the four kinds of call."""

    def __init__(
        self, exchange: Exchange, serialize: Callable[[Q], bytes] | None, deserialize: Callable[[bytes], R] | None
    ) -> None:
        self._exchange = exchange
        self._serialize = serialize
        self._deserialize = deserialize
        self._answer: asyncio.Future[R] | None = None

    def cancelled(self) -> bool:
        """Return whether the client cancelled the call."""
        return self._exchange.cancelled_by_client

    def done(self) -> bool:
        """Return whether the call has its status."""
        return self._exchange.done

    def time_remaining(self) -> float | None:
        """Return the seconds to the deadline."""
        return self._exchange.time_remaining()

    def cancel(self) -> bool:
        """Cancel the call. Returns True if it had not ended."""
        return self._exchange.cancel()

    def add_done_callback(self, callback: Callable[[LocalCall[Q, R]], None]) -> None:
        """Call back with this call at its end."""
        self._exchange.on_end(lambda: callback(self))

    async def initial_metadata(self) -> grpc.aio.Metadata:
        """Return the server's initial metadata."""
        return await asyncio.shield(self._exchange.initial)

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        """Return the server's trailing metadata."""
        await self._exchange.ended()
        return self._exchange.trailing

    async def code(self) -> grpc.StatusCode:
        """Wait for the status and return it."""
        return await self._exchange.ended()

    async def details(self) -> str:
        """Wait for the text of the status and return it."""
        await self._exchange.ended()
        return self._exchange.details

    async def wait_for_connection(self) -> None:
        """Return at once: there is no connection."""

    def send(self, request: Q) -> None:
        """Queue the only request of a call with a unary request."""
        self._exchange.requests.put_last(self._bytes(request))

    def feed(self, requests: AsyncIterable[Q] | Iterable[Q]) -> None:
        """Send requests from an iterator, in the background."""
        # A bare task: one for each call, which logs its failure and cancels the call.
        feeder = asyncio.get_running_loop().create_task(self._pump(requests))
        self._exchange.on_end(lambda: _stop(feeder))

    async def _pump(self, requests: AsyncIterable[Q] | Iterable[Q]) -> None:
        try:
            if isinstance(requests, AsyncIterable):
                async for request in requests:
                    await self._put(request)
            else:
                for request in requests:
                    await self._put(request)
        except PipeClosedError:
            return
        except Exception:
            log.exception("request iterator failed", method=self._exchange.method)
            self._exchange.cancel()
            return
        self._exchange.requests.end()

    async def _put(self, request: Q) -> None:
        await self._exchange.requests.put(self._bytes(request))

    def _bytes(self, request: Q) -> bytes:
        return self._serialize(request) if self._serialize else cast("bytes", request)

    async def _take(self) -> R | None:
        """Return the next response, or None after an OK status. Raises any other status."""
        try:
            data = await self._exchange.responses.get()
            if data is not None:
                return self._deserialize(data) if self._deserialize else cast("R", data)
            code = await self._exchange.ended()
        except asyncio.CancelledError:
            self._exchange.cancel()
            raise
        if self._exchange.cancelled_by_client:
            raise asyncio.CancelledError
        if code is not grpc.StatusCode.OK:
            raise self._exchange.error()
        return None


class _UnaryAnswer(LocalCall[Q, R]):
    def __await__(self) -> Generator[None, None, R]:
        return self._result().__await__()

    async def _result(self) -> R:
        if self._answer is not None:
            return await asyncio.shield(self._answer)
        self._answer = asyncio.get_running_loop().create_future()
        try:
            response = await self._receive()
        except asyncio.CancelledError:
            self._answer.cancel()
            raise
        except Exception as error:
            self._answer.set_exception(error)
            self._answer.exception()  # raised below, so asyncio need not report it
            raise
        self._answer.set_result(response)
        return response

    async def _receive(self) -> R:
        response = await self._take()
        if response is None:
            raise grpc.aio.AioRpcError(grpc.StatusCode.INTERNAL, details="no response to a unary call")
        await self._take()  # the status comes after the message
        return response


class _StreamAnswer(LocalCall[Q, R]):
    async def read(self) -> R | object:
        """Return the next response, or EOF."""
        response = await self._take()
        return _EOF if response is None else response

    def __aiter__(self) -> AsyncIterator[R]:
        return self._all()

    async def _all(self) -> AsyncIterator[R]:
        while (response := await self._take()) is not None:
            yield response


class _StreamRequests(LocalCall[Q, R]):
    async def write(self, request: Q) -> None:
        """Send one request; waits while the server does not read."""
        try:
            await self._put(request)
        except PipeClosedError:
            if not self._exchange.done:
                raise grpc.aio.UsageError("write after done_writing") from None
            if self._exchange.cancelled_by_client:
                raise asyncio.CancelledError from None
            if self._exchange.code is not grpc.StatusCode.OK:
                raise self._exchange.error() from None
            raise asyncio.InvalidStateError("RPC already finished") from None
        except asyncio.CancelledError:
            self._exchange.cancel()
            raise

    async def done_writing(self) -> None:
        """End the stream of requests."""
        self._exchange.requests.end()


class LocalUnaryUnaryCall(_UnaryAnswer[Q, R], grpc.aio.UnaryUnaryCall[Q, R]):
    """One request, one response."""


class LocalUnaryStreamCall(_StreamAnswer[Q, R], grpc.aio.UnaryStreamCall[Q, R]):
    """One request, many responses."""


class LocalStreamUnaryCall(_StreamRequests[Q, R], _UnaryAnswer[Q, R], grpc.aio.StreamUnaryCall[Q, R]):
    """Many requests, one response."""


class LocalStreamStreamCall(_StreamRequests[Q, R], _StreamAnswer[Q, R], grpc.aio.StreamStreamCall[Q, R]):
    """Many requests, many responses."""
