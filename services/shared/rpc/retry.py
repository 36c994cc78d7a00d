"""Retries of a unary call after the loss of a replica, for RPCs whose contract declares them idempotent.

The contract is `option idempotency_level` in the proto. An RPC without it is sent once: after a lost connection the
caller cannot know whether the server has committed its effects.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator

import grpc
import grpc.aio
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.descriptor_pool import Default

from services.shared.rpc.calling import Q, R

ATTEMPTS = 4
"""Maximum number of attempts of an idempotent call."""

_PAUSE = 0.05
"""Seconds before the second attempt; doubled for each later one."""


def attempts_of(method: str) -> int:
    """Return the maximum number of attempts of a method, given as a gRPC path: `/package.Service/Method`.

    1 for a method without an idempotency level, and for one whose descriptor this process has not loaded.
    """
    try:
        options = Default().FindMethodByName(method.lstrip("/").replace("/", ".")).GetOptions()
    except KeyError:
        return 1
    return 1 if options.idempotency_level == MethodOptions.IDEMPOTENCY_UNKNOWN else ATTEMPTS


class RetriedCall(grpc.aio.UnaryUnaryCall[Q, R]):
    """A call that is sent again if its replica was unavailable, while attempts and time are left."""

    def __init__(self, send: Callable[[float], grpc.aio.UnaryUnaryCall[Q, R]], timeout: float, attempts: int) -> None:
        self._send = send
        self._attempts = attempts
        self._deadline = asyncio.get_running_loop().time() + timeout
        self._call = send(timeout)
        self._cancelled = False

    def __await__(self) -> Generator[None, None, R]:
        return self._answer().__await__()

    async def _answer(self) -> R:
        pause = _PAUSE
        for left in range(self._attempts - 1, -1, -1):
            try:
                return await self._call
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE or not left or self.time_remaining() <= pause:
                    raise
            await asyncio.sleep(pause)
            if self._cancelled:
                raise asyncio.CancelledError
            pause *= 2
            self._call = self._send(self.time_remaining())
        raise AssertionError("the last attempt returns or raises")

    def time_remaining(self) -> float:
        """Return the seconds left for all attempts together."""
        return max(0.0, self._deadline - asyncio.get_running_loop().time())

    def cancelled(self) -> bool:
        """Return whether the client cancelled the call."""
        return self._cancelled or self._call.cancelled()

    def done(self) -> bool:
        """Return whether the latest attempt has its status."""
        return self._call.done()

    def cancel(self) -> bool:
        """Cancel the call."""
        self._cancelled = True
        return self._call.cancel()

    def add_done_callback(self, callback: Callable[[object], None]) -> None:
        """Call back at the end of the current attempt."""
        self._call.add_done_callback(callback)

    async def initial_metadata(self) -> grpc.aio.Metadata:
        """Return the server's initial metadata."""
        return await self._call.initial_metadata()

    async def trailing_metadata(self) -> grpc.aio.Metadata:
        """Return the server's trailing metadata."""
        return await self._call.trailing_metadata()

    async def code(self) -> grpc.StatusCode:
        """Return the status of the latest attempt."""
        return await self._call.code()

    async def details(self) -> str:
        """Return the text of the status."""
        return await self._call.details()

    async def wait_for_connection(self) -> None:
        """Wait until the current attempt is on a connection."""
        await self._call.wait_for_connection()
