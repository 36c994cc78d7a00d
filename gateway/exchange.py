"""One request out of a tunnel and the ways to answer it: the interface between `gateway.edge` and `gateway.machine`.

Owns types only. The edge, which owns sockets, implements `Responder` and `StreamWriter`; a handler, which knows what
requests mean, uses them. All calls happen on the event loop of the process; none blocks, none makes a task.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from services.shared.keys import MachineKey

Buffer = bytes | bytearray | memoryview
"""Bytes to send: shared frames are sent as they are, without being joined or copied first."""


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
        """Return the first value of a header (lower-case name), or None if it was not sent."""
        return next((value for key, value in self.headers if key == name), None)


class StreamWriter(Protocol):
    """A response body that stays open, such as a map session.

    Nothing is queued for a slow reader: `send` refuses while `paused`, and the owner keeps a cursor and sends one
    merged message after `on_resume`.
    """

    @property
    def paused(self) -> bool:
        """Return whether bytes wait for the client's window or the socket, from a `send` until `on_resume`."""
        ...

    @property
    def closed(self) -> bool:
        """Return whether the client, the connection or `end` has ended this stream."""
        ...

    @property
    def peer_lost(self) -> bool:
        """Return whether the stream ended because the client no longer answered."""
        ...

    def send(self, buffers: Sequence[Buffer]) -> bool:
        """Accept one message whole, or refuse it whole (False: paused or closed). Never blocks."""
        ...

    def probe(self, timeout: float) -> None:
        """End the connection as lost unless the client's process answers a PING within `timeout` seconds."""
        ...

    def note_awake(self) -> None:
        """State that the client's system does not sleep, so that probing it while it is idle costs no battery."""
        ...

    def end(self) -> None:
        """End the body after all accepted messages; idempotent."""
        ...

    def abort(self) -> None:
        """Cut off the body (RST_STREAM) and discard what was accepted but not sent: the client does not read."""
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
        """Return whether the client has gone or the answer is complete; answering then is harmless and does nothing."""
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
        """Call `callback` once when the client goes before the answer is complete: cancel waiting work there."""
        ...


class Handler(Protocol):
    """Handles each whole request of the tunnels."""

    def handle(self, request: TunnelRequest, responder: Responder) -> None:
        """Answer now, or keep the responder and answer later. An exception is answered with a plain 500."""
        ...
