"""The edge's side of `gateway.exchange` without sockets, and timers that fire when a test says so."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from gateway.exchange import Buffer, TunnelRequest
from services.shared.keys import MachineKey


class FakeTimer:
    """One armed timer."""

    def __init__(self, at: float, callback: Callable[[], None]) -> None:
        self.at, self.callback, self.cancelled = at, callback, False

    def cancel(self) -> None:
        """Do not fire."""
        self.cancelled = True


class FakeTime:
    """A clock and its timers: time passes only by `advance`."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self._order = itertools.count()
        self._armed: list[tuple[float, int, FakeTimer]] = []

    @property
    def armed(self) -> int:
        """Number of timers that will fire."""
        return sum(not timer.cancelled for _, _, timer in self._armed)

    def now(self) -> datetime:
        """The wall clock."""
        return datetime(2026, 11, 23, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        """Seconds."""
        return self.seconds

    def after(self, seconds: float, callback: Callable[[], None]) -> FakeTimer:
        """Call back once, so many seconds from now."""
        timer = FakeTimer(self.seconds + seconds, callback)
        heapq.heappush(self._armed, (timer.at, next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Let time pass; what is due fires in order, at its time."""
        end = self.seconds + seconds
        while self._armed and self._armed[0][0] <= end:
            at, _, timer = heapq.heappop(self._armed)
            self.seconds = max(self.seconds, at)
            if not timer.cancelled:
                timer.callback()
        self.seconds = end


class FakeWriter:
    """A body that stays open. `paused` is the test's to set; `resume` is the client reading again."""

    def __init__(self) -> None:
        self.paused = False
        self.closed = False
        self.ended = False
        self.aborted = False
        self.peer_lost = False
        self.probes: list[float] = []
        self.awake = False
        self.messages: list[bytes] = []
        self._resume: list[Callable[[], None]] = []
        self._closed: list[Callable[[], None]] = []

    @property
    def body(self) -> bytes:
        """All that was taken."""
        return b"".join(self.messages)

    def send(self, buffers: Sequence[Buffer]) -> bool:
        """Take a message unless paused or closed."""
        if self.paused or self.closed:
            return False
        self.messages.append(b"".join(bytes(buffer) for buffer in buffers))
        return True

    def probe(self, timeout: float) -> None:
        """Remember that the client was probed."""
        self.probes.append(timeout)

    def note_awake(self) -> None:
        """Remember that the client may be probed while it is idle."""
        self.awake = True

    def lose(self) -> None:
        """The client did not answer: the edge cuts its connection."""
        self.peer_lost = True
        self.reset()

    def end(self) -> None:
        """The body is whole."""
        self.ended = self.closed = True

    def abort(self) -> None:
        """The body is cut off."""
        self.aborted = self.closed = True

    def on_resume(self, callback: Callable[[], None]) -> None:
        """Remember whom to tell."""
        self._resume.append(callback)

    def on_closed(self, callback: Callable[[], None]) -> None:
        """Remember whom to tell."""
        self._closed.append(callback)

    def resume(self) -> None:
        """The client reads again."""
        self.paused = False
        for callback in self._resume:
            callback()

    def reset(self) -> None:
        """The client resets the stream."""
        self.closed = True
        for callback in self._closed:
            callback()


class FakeResponder:
    """Remembers the answer to one request."""

    def __init__(self) -> None:
        self.closed = False
        self.status: int | None = None
        self.body = b""
        self.headers: dict[str, str] = {}
        self.writer: FakeWriter | None = None
        self._closed: list[Callable[[], None]] = []

    def respond(
        self,
        status: int,
        body: bytes = b"",
        content_type: str = "application/json",
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Answer once."""
        if not self.closed:
            self.status, self.body, self.headers = status, body, dict(headers)
            self.closed = True

    def start_stream(self, status: int = 200, content_type: str = "application/json") -> FakeWriter:
        """Answer with an open body."""
        self.status, self.closed = status, True
        self.writer = FakeWriter()
        return self.writer

    def on_closed(self, callback: Callable[[], None]) -> None:
        """Remember whom to tell when the client goes before the answer."""
        self._closed.append(callback)

    def reset(self) -> None:
        """The client goes before the answer."""
        self.closed = True
        for callback in self._closed:
            callback()


def tunnel_request(
    path: str, body: bytes, machine: MachineKey, method: str = "POST", connection_id: int = 1
) -> TunnelRequest:
    """A request as the edge hands it over."""
    return TunnelRequest(
        machine_key=machine,
        capability_version=113,
        method=method,
        path=path,
        query="",
        headers=(),
        body=body,
        remote_address="192.0.2.1",
        connection_id=connection_id,
    )
