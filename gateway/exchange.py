"""One request that came out of a tunnel, and the ways to answer it.

The border between `gateway.edge`, which owns sockets, and `gateway.machine`, which knows what the requests mean.
It holds no behaviour but reading: the edge implements `Responder` and `StreamWriter`, a handler is handed them.
All calls happen on the event loop of the process; none of them blocks, none makes a task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from services.shared.keys import MachineKey

Buffer = bytes | bytearray | memoryview
"""What may be sent: shared frames go out as they are, without being joined or copied first."""


@dataclass(frozen=True, slots=True)
class TunnelRequest:
    """A whole request; `machine_key` is proven by Noise and is the only identity of the client.

    `path` has no query and is not percent-decoded; `headers` have lower-case names, pseudo-headers left out.
    """

    machine_key: MachineKey
    capability_version: int
    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]] = field(repr=False)
    body: bytes = field(repr=False)
    remote_address: str
    connection_id: int

    def header(self, name: str) -> str | None:
        """The first value of a header (lower-case name), or None when it was not sent."""
        return next((value for key, value in self.headers if key == name), None)


class StreamWriter(Protocol):
    """A response body that stays open, such as a map session.

    Rule for a slow reader: while `paused` nothing is queued. `send` then refuses, and the owner keeps a cursor instead
    and sends one merged message after `on_resume`.
    """

    @property
    def paused(self) -> bool:
        """Whether bytes wait for the client's window or for the socket, as of the last `send`; until `on_resume`."""
        ...

    @property
    def closed(self) -> bool:
        """Whether the client, the connection or `end` has ended this stream."""
        ...

    def send(self, buffers: Sequence[Buffer]) -> bool:
        """Take one message whole, or refuse it whole (False: paused or closed). Never blocks."""
        ...

    def end(self) -> None:
        """End the body after what was taken; harmless when it ended before."""
        ...

    def abort(self) -> None:
        """Cut the body off (RST_STREAM) and forget what was taken but not sent: the client does not read."""
        ...

    def on_resume(self, callback: Callable[[], None]) -> None:
        """Call `callback` each time the stream leaves `paused`."""
        ...

    def on_closed(self, callback: Callable[[], None]) -> None:
        """Call `callback` once when the client or the connection ends the stream, not after `end` or `abort`.

        When that has already happened it is called at once.
        """
        ...


class Responder(Protocol):
    """Answers one request, once: `respond` or `start_stream`."""

    @property
    def closed(self) -> bool:
        """Whether the client has gone or the answer is complete; answering then is harmless and does nothing."""
        ...

    def respond(
        self,
        status: int,
        body: bytes = b"",
        content_type: str = "application/json",
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Answer with a whole body; extra headers are for the rare `retry-after`."""
        ...

    def start_stream(self, status: int = 200, content_type: str = "application/json") -> StreamWriter:
        """Send the response head now and keep the body open."""
        ...

    def on_closed(self, callback: Callable[[], None]) -> None:
        """Call `callback` once when the client goes before the answer is complete: cancel held work there."""
        ...


class Handler(Protocol):
    """What the edge calls for each whole request."""

    def handle(self, request: TunnelRequest, responder: Responder) -> None:
        """Answer now, or keep the responder and answer later. An exception becomes a plain 500."""
        ...
