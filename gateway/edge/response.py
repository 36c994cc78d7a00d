"""The answer to one request: a `Responder` that can become a `StreamWriter`. Owns no task, queue or timer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from gateway.edge.http2 import Connection
from gateway.exchange import Buffer, StreamWriter
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)


class ResponseCarrier(Protocol):
    """The tunnel, as a response uses it."""

    http: Connection
    write_paused: bool
    peer_lost: bool

    def flush(self) -> None:
        """Send as much as the windows and the socket take."""
        ...

    def send_direct(self, stream_id: int, message: Buffer) -> bool:
        """Send a small message past all queues. Returns False if something waits before it."""
        ...

    def wait(self, response: ResponseStream) -> None:
        """Call `response.resumed` when it can send again."""
        ...

    def forget(self, stream_id: int) -> None:
        """Drop a response that its owner has completed."""
        ...

    def probe(self, timeout: float) -> None:
        """Cut the connection as lost unless the client's process answers in time."""
        ...

    def note_awake(self) -> None:
        """Probe the client while it is idle, too."""
        ...


class ResponseStream:
    """Unanswered, then streaming or complete; lost if the client or the connection ends first."""

    __slots__ = ("_carrier", "_head_only", "_on_closed", "_on_resume", "_stream_id", "closed", "paused", "streaming")

    def __init__(self, carrier: ResponseCarrier, stream_id: int, head_only: bool) -> None:
        self._carrier = carrier
        self._stream_id = stream_id
        self._head_only = head_only
        self._on_closed: Callable[[], None] | None = None
        self._on_resume: Callable[[], None] | None = None
        self.closed = False
        self.streaming = False
        self.paused = False

    def respond(
        self,
        status: int,
        body: bytes = b"",
        content_type: str = "application/json",
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Answer with a whole body."""
        if self.closed or self.streaming:
            return
        http, stream_id = self._carrier.http, self._stream_id
        if body and not self._head_only:
            http.send_head(stream_id, status, content_type, len(body), headers)
            http.send_data(stream_id, [body])
            http.end(stream_id)
        else:
            kind = content_type if body else None
            length = None if status == 204 else len(body)
            http.send_head(stream_id, status, kind, length, headers, end=True)
        self._finish()

    def start_stream(self, status: int = 200, content_type: str = "application/json") -> StreamWriter:
        """Send the head now and keep the body open."""
        if not self.closed and not self.streaming:
            self.streaming = True
            self._carrier.http.send_head(self._stream_id, status, content_type)
            self._carrier.flush()
        return self

    @property
    def peer_lost(self) -> bool:
        """Return whether the connection was cut because the client did not answer."""
        return self._carrier.peer_lost

    def probe(self, timeout: float) -> None:
        """Cut the connection as lost unless the client's process answers within `timeout` seconds."""
        if not self.closed:
            self._carrier.probe(timeout)

    def note_awake(self) -> None:
        """State that the client's system does not sleep, so that it is probed while it is idle, too."""
        if not self.closed:
            self._carrier.note_awake()

    @property
    def blocked(self) -> bool:
        """Return whether bytes wait for the client's window or for the socket."""
        return self._carrier.write_paused or self._carrier.http.unsent(self._stream_id) > 0

    def send(self, buffers: Sequence[Buffer]) -> bool:
        """Accept one message whole, or refuse it whole (False)."""
        if self.closed or not self.streaming:
            return False
        if len(buffers) == 1 and self._carrier.send_direct(self._stream_id, buffers[0]):
            if self._carrier.write_paused and not self.closed:
                self._pause()
            return True
        if self.blocked:
            self._pause()
            return False
        if not self._carrier.http.send_data(self._stream_id, buffers):
            return False
        self._carrier.flush()
        if not self.closed and self.blocked:
            self._pause()
        return True

    def _pause(self) -> None:
        self.paused = True
        self._carrier.wait(self)

    def end(self) -> None:
        """End the body after all accepted messages."""
        if self.closed or not self.streaming:
            return
        self._carrier.http.end(self._stream_id)
        self._finish()

    def abort(self) -> None:
        """Cut off the body and discard what was not sent."""
        if not self.closed:
            self._carrier.http.reset(self._stream_id)
            self._finish()

    def on_resume(self, callback: Callable[[], None]) -> None:
        """Set the callback for each time the stream leaves `paused`."""
        self._on_resume = callback

    def on_closed(self, callback: Callable[[], None]) -> None:
        """Set the callback for the case that the client or the connection ends first."""
        if self.closed:
            _call(callback)
        else:
            self._on_closed = callback

    def resumed(self) -> None:
        """Leave `paused`: the tunnel has sent everything that waited."""
        self.paused = False
        if self._on_resume is not None and not self.closed:
            _call(self._on_resume)

    def lost(self) -> None:
        """End without an answer because the stream has ended."""
        if self.closed:
            return
        self.closed = True
        callback, self._on_closed, self._on_resume = self._on_closed, None, None
        if callback is not None:
            _call(callback)

    def _finish(self) -> None:
        self.closed = True
        self._on_closed = self._on_resume = None
        self._carrier.forget(self._stream_id)
        self._carrier.flush()


def _call(callback: Callable[[], None]) -> None:
    try:
        callback()
    except Exception:
        log.exception("stream callback failed")
