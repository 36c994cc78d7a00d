"""The server side of an in-process call: the `ServicerContext` of grpc.aio over one `Exchange`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Never, cast

import grpc
import grpc.aio

from services.shared.rpc.calling import Q, R
from services.shared.rpc.exchange import Exchange

MetadataLike = grpc.aio.Metadata | Sequence[tuple[str, str | bytes]]


def to_metadata(metadata: MetadataLike | None) -> grpc.aio.Metadata:
    """Return a copy of the metadata in grpc.aio's type."""
    return grpc.aio.Metadata(*((key, value) for key, value in metadata or ()))


class LocalContext(grpc.aio.ServicerContext[Q, R]):
    """The context that a handler gets for one call."""

    def __init__(
        self, exchange: Exchange, serialize: Callable[[R], bytes] | None, deserialize: Callable[[bytes], Q] | None
    ) -> None:
        self._exchange = exchange
        self._serialize = serialize
        self._deserialize = deserialize
        self._code = grpc.StatusCode.OK
        self._details = ""
        self._trailing = grpc.aio.Metadata()

    async def read(self) -> Q:
        """Return the next request, or EOF."""
        data = await self._exchange.requests.get()
        if data is None:
            return cast("Q", grpc.aio.EOF)
        return self._deserialize(data) if self._deserialize else cast("Q", data)

    async def write(self, message: R) -> None:
        """Send one response; waits while the client does not read."""
        self._exchange.start_responses(grpc.aio.Metadata())
        await self._exchange.responses.put(self._serialize(message) if self._serialize else cast("bytes", message))

    async def send_initial_metadata(self, initial_metadata: MetadataLike) -> None:
        """Send metadata before any response."""
        self._exchange.start_responses(to_metadata(initial_metadata))

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: MetadataLike = ()) -> Never:
        """End the call with this status, and the handler with it."""
        self._code, self._details = code, details
        if trailing_metadata:
            self._trailing = to_metadata(trailing_metadata)
        raise grpc.aio.AbortError("Locally aborted.")

    async def abort_with_status(self, status: grpc.Status) -> Never:
        """End the call with this status, and the handler with it."""
        await self.abort(status.code, status.details, tuple(status.trailing_metadata or ()))

    def set_trailing_metadata(self, trailing_metadata: MetadataLike) -> None:
        """Set the trailing metadata."""
        self._trailing = to_metadata(trailing_metadata)

    def trailing_metadata(self) -> grpc.aio.Metadata:
        """Return the trailing metadata."""
        return self._trailing

    def invocation_metadata(self) -> grpc.aio.Metadata:
        """Return the client's metadata."""
        return self._exchange.metadata

    def set_code(self, code: grpc.StatusCode) -> None:
        """Set the status that the call will end with."""
        self._code = code

    def code(self) -> grpc.StatusCode:
        """Return the status that the call will end with."""
        return self._code

    def set_details(self, details: str) -> None:
        """Set the text of the status."""
        self._details = details

    def details(self) -> str:
        """Return the text of the status."""
        return self._details

    def set_compression(self, compression: grpc.Compression) -> None:
        """Nothing is compressed in process."""

    def disable_next_message_compression(self) -> None:
        """Nothing is compressed in process."""

    def peer(self) -> str:
        """Return the address of the client, which is in process."""
        return "local"

    def peer_identities(self) -> Iterable[bytes] | None:
        """No certificates in process."""
        return None

    def peer_identity_key(self) -> str | None:
        """No certificates in process."""
        return None

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        """No certificates in process."""
        return {}

    def time_remaining(self) -> float:
        """Return the seconds to the deadline; infinite if there is none."""
        remaining = self._exchange.time_remaining()
        return math.inf if remaining is None else remaining

    def cancelled(self) -> bool:
        """Return whether the client cancelled the call."""
        return self._exchange.code is grpc.StatusCode.CANCELLED

    def done(self) -> bool:
        """Return whether the call has its status."""
        return self._exchange.done

    def add_done_callback(self, callback: Callable[[LocalContext[Q, R]], None]) -> None:
        """Call back with this context at the end of the call."""
        self._exchange.on_end(lambda: callback(self))
