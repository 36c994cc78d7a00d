"""The shared state of one in-process call between client and server. Owns its status; knows no stub or handler.

Messages cross as serialised bytes, in both directions, exactly as over a socket. So the two
sides share no object, a message that cannot be serialised fails as over a socket, and the cost is about that of a
deep copy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc
import grpc.aio

from services.shared.rpc.pipe import Pipe


class Exchange:
    """The state of one call; the first side to end it determines its status."""

    def __init__(self, method: str, metadata: grpc.aio.Metadata, timeout: float | None) -> None:
        self.method = method
        self.metadata = metadata
        self.requests: Pipe[bytes] = Pipe()
        self.responses: Pipe[bytes] = Pipe()
        self.initial: asyncio.Future[grpc.aio.Metadata] = asyncio.get_running_loop().create_future()
        self.trailing = grpc.aio.Metadata()
        self.code: grpc.StatusCode | None = None
        self.details = ""
        self.cancelled_by_client = False
        self.server: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()
        self._callbacks: list[Callable[[], None]] = []
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        if timeout is not None:
            loop = asyncio.get_running_loop()
            self._deadline = loop.time() + timeout
            self._timer = loop.call_at(self._deadline, self._expire)

    @property
    def done(self) -> bool:
        """Return whether the call has its status."""
        return self.code is not None

    def time_remaining(self) -> float | None:
        """Return the seconds to the deadline; None if there is none."""
        if self._deadline is None:
            return None
        return max(0.0, self._deadline - asyncio.get_running_loop().time())

    async def ended(self) -> grpc.StatusCode:
        """Wait for the status."""
        await self._ended.wait()
        assert self.code is not None
        return self.code

    def on_end(self, callback: Callable[[], None]) -> None:
        """Register a callback for the end of the call; called at once if it has ended."""
        if self.done:
            asyncio.get_running_loop().call_soon(callback)
        else:
            self._callbacks.append(callback)

    def start_responses(self, metadata: grpc.aio.Metadata) -> None:
        """Send the initial metadata, if that has not been done."""
        if not self.initial.done():
            self.initial.set_result(metadata)

    def finish(self, code: grpc.StatusCode, details: str = "", trailing: grpc.aio.Metadata | None = None) -> None:
        """Set the status of the call; later statuses are ignored."""
        if self.done:
            return
        self.code, self.details = code, details
        if trailing is not None:
            self.trailing = trailing
        if self._timer is not None:
            self._timer.cancel()
        self.start_responses(grpc.aio.Metadata())
        self.requests.break_()
        self.responses.end()
        self._ended.set()
        for callback in self._callbacks:
            callback()
        self._callbacks.clear()

    def cancel(self) -> bool:
        """Cancel the call as its client."""
        if self.done:
            return False
        self.cancelled_by_client = True
        self._abandon(grpc.StatusCode.CANCELLED, "Locally cancelled by application!")
        return True

    def abandon(self, code: grpc.StatusCode, details: str) -> None:
        """End the call for an external reason: its deadline, or a stopping server."""
        if not self.done:
            self._abandon(code, details)

    def _expire(self) -> None:
        self.abandon(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded")

    def _abandon(self, code: grpc.StatusCode, details: str) -> None:
        self.finish(code, details)
        self.responses.break_()
        if self.server is not None:
            self.server.cancel()

    def error(self) -> grpc.aio.AioRpcError:
        """Return the status as a client's exception."""
        assert self.code is not None
        return grpc.aio.AioRpcError(self.code, self.initial.result(), self.trailing, self.details)
