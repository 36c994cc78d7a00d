"""Serves map sessions: hands what the map streamer says to tunnels. Decides only about time, order and slow readers.

Rules, where a client's wait or a slow one could cost us:

* A session that nobody accepts within `open_timeout` gets 503; a client gives up after 120 s anyway.
* While a client reads slowly nothing is queued for it. A message that its tunnel refuses is lost on purpose: the
  session keeps the position before it, and is opened anew from there when the client reads again, so the map streamer
  sends what it missed as one message. The new opening has a new route, so nothing that was under way for the former
  one can arrive out of order.
* A client that does not read for `slow_timeout` is dropped.
* No task, queue or timer handle per message: one timer a session, looked at only when it fires.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

from gateway.exchange import Responder
from gateway.machine.admission import Admission
from gateway.machine.frames import FrameCache, MissingFrameError
from gateway.machine.keepalive import INTERVAL, JITTER, PLAIN_KEEPALIVE, ZSTD_KEEPALIVE, framed
from gateway.machine.metrics import MachineMetrics
from gateway.machine.refusal import NOBODY_HOME, Refusal, refuse
from gateway.machine.session import Cancellable, Held, MapAsk, MapSession, SessionTable
from services.shared.runtime.clock import Clock
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)

Part = bytes | int
"""A piece of a message, or the id of a shared frame."""
Reason = Literal["client", "removed", "rotated", "superseded", "done", "slow", "refused", "timeout", "stopping"]

SUPERSEDED = Refusal(409, "a newer map session of this node took over")


class Uplink(Protocol):
    """What the sessions say to the map streamer; nothing blocks, and nothing is kept while none is attached."""

    @property
    def attached(self) -> bool:
        """Whether a map streamer listens."""
        ...

    def opened(self, session: MapSession) -> None:
        """A session begins, or comes over with what it holds."""
        ...

    def closed(self, route: int) -> None:
        """A session ended."""
        ...

    def paused(self, route: int) -> None:
        """Its client reads slowly."""
        ...

    def dropped(self, frame_ids: Sequence[int]) -> None:
        """Frames were forgotten."""
        ...


class Observer(Protocol):
    """Who must know when a node's session begins and ends."""

    def opened(self, session_id: int, node_id: int) -> None:
        """A session serves this node."""
        ...

    def closed(self, session_id: int) -> None:
        """It ended."""
        ...


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, and what bounds full maps."""

    keepalive: float = INTERVAL
    jitter: float = JITTER
    open_timeout: float = 30.0
    slow_timeout: float = 60.0
    retry: float = 1.0
    initial_map_bytes: int = 64 << 20


class MapSessions:
    """All map sessions of this gateway and what happens to them."""

    def __init__(
        self,
        clock: Clock,
        timer: Callable[[float, Callable[[], None]], Cancellable],
        presence: Observer,
        metrics: MachineMetrics,
        timing: Timing | None = None,
        on_removed: Callable[[MapAsk], None] = lambda _ask: None,
    ) -> None:
        """`timer` calls back once after so many seconds; `on_removed` hears of nodes whose key is no longer good."""
        self._clock, self._timer, self._presence, self._metrics = clock, timer, presence, metrics
        self._timing = timing or Timing()
        self._on_removed = on_removed
        self._table = SessionTable()
        self._frames = FrameCache()
        self._admission = Admission(self._timing.initial_map_bytes, self._open_upstream)
        self._uplink: Uplink | None = None
        self._paused: set[int] = set()

    def __len__(self) -> int:
        return len(self._table)

    def __iter__(self) -> Iterator[MapSession]:
        """Each session, as the table is now."""
        return iter(self._table)

    @property
    def full_bytes(self) -> int:
        """Bytes of full maps in flight."""
        return self._admission.in_flight

    def use(self, uplink: Uplink) -> None:
        """Speak to the map streamer through this."""
        self._uplink = uplink

    def of_node(self, node_id: int) -> MapSession | None:
        """The live session of a node here."""
        return self._table.of_node(node_id)

    # From clients

    def open(self, ask: MapAsk, responder: Responder) -> MapSession:
        """A client asks for a map session; its answer begins when the map streamer accepts it."""
        session = self._table.create(ask, responder, self)
        session.deadline = self._timer(self._timing.open_timeout, partial(self._not_opened, session))
        responder.on_closed(session.gone)
        if responder.closed:
            self._end(session, "client")
        else:
            self._admission.ask(session)
            self._metrics.waiting.set(self._admission.waiting)
        return session

    def stop(self) -> None:
        """End every session: this gateway goes."""
        for session in self._table:
            self._close(session, "stopping")

    # From the map streamer

    def attach(self) -> None:
        """A map streamer is attached and knows nothing of us: open everything there with what it holds."""
        self._frames.clear()
        for session in self._table:
            if session.upstream:
                session.behind = session.told_paused = False
                self._say_opened(session)

    def accepted(self, route: int, node_id: int) -> None:
        """A session may be; the first time this is the moment of the response head."""
        session = self._table.at(route)
        if session is None or session.writer is not None:
            return
        _cancel(session.deadline)
        session.deadline = None
        session.writer = session.responder.start_stream(200)
        session.last_sent = self._clock.monotonic()
        older = None if session.ask.once else self._table.go_live(session, node_id)
        session.node_id = node_id
        if not session.ask.once:
            self._presence.opened(session.session_id, node_id)
        if older is not None:
            self._close(older, "superseded")
        self._metrics.sessions.set(len(self._table))
        session.writer.on_resume(session.resumed)
        session.writer.on_closed(session.gone)
        if not session.writer.closed:
            self._rest(session)

    def refused(self, route: int, refusal: Refusal, *, again: bool) -> None:
        """A session cannot be. `again`: only now; a session that was live already asks once more a little later."""
        session = self._table.at(route)
        if session is None:
            return
        if session.writer is None:
            refuse(session.responder, refusal)
            self._end(session, "refused")
        elif again:
            self._timer(self._timing.retry * random.uniform(0.5, 1.5), partial(self._reopen, session))
        else:
            self._on_removed(session.ask)
            self._close(session, "refused")

    def frame(self, frame_id: int, data: bytes) -> None:
        """Bytes that messages will name."""
        dropped = self._frames.put(frame_id, data)
        self._metrics.frame_bytes.set(self._frames.size)
        if dropped and self._uplink is not None:
            self._uplink.dropped(dropped)

    def retired(self, frame_ids: Iterable[int]) -> None:
        """Frames that will not be named again."""
        self._frames.retire(frame_ids)

    def full(self, route: int, parts: Sequence[Part], cursor: Held) -> None:
        """A session's whole map."""
        session = self._table.at(route)
        if session is None or session.writer is None:
            return
        try:
            pieces = [part if isinstance(part, bytes) else self._frames.get(part) for part in parts]
        except MissingFrameError:
            # Frames alone would not do: a map of more bytes than the cache keeps would never be complete.
            session.missed = True
            self._reopen(session)
            return
        message = framed(pieces)
        size = sum(map(len, message))
        self._admission.measured(session, size)
        if self._send(session, message, cursor, self._clock.monotonic()):
            session.has_map, session.missed = True, False
            self._count("full", size)
        if session.paused_since is None:
            self._admission.release(session)

    def delta(self, routes: Iterable[int], message: bytes, cursor: Held) -> None:
        """A framed message for several sessions; one that has no map yet could not use it."""
        at, now, buffers, sent = self._table.at, self._clock.monotonic(), (message,), 0
        for route in routes:
            session = at(route)
            if session is not None and session.has_map and self._send(session, buffers, cursor, now):
                sent += 1
        self._count("change", len(message), sent)

    def ended(self, route: int, reason: Reason) -> None:
        """A session must end."""
        session = self._table.at(route)
        if session is None:
            return
        if reason in ("removed", "rotated"):
            self._on_removed(session.ask)
        if session.writer is None:
            refuse(session.responder, SUPERSEDED if reason == "superseded" else NOBODY_HOME)
        self._close(session, reason, upstream=False)

    # From this gateway itself

    def ping(self, node_id: int, message: Sequence[bytes]) -> bool:
        """Put a framed keep-alive that asks for an answer into a node's session; False when it cannot take it now."""
        session = self._table.of_node(node_id)
        if session is None or session.writer is None or not session.writer.send(message):
            return False
        session.last_sent = self._clock.monotonic()
        self._count("ping", sum(map(len, message)))
        return True

    def _send(self, session: MapSession, message: Sequence[bytes], cursor: Held, now: float) -> bool:
        writer = session.writer
        if writer is None or session.behind or not writer.send(message):
            if writer is not None and not writer.closed:
                self._fall_behind(session)
            return False
        session.held = cursor
        session.last_sent = now
        if writer.paused and not writer.closed:
            self._note_pause(session)
        return True

    def _note_pause(self, session: MapSession) -> None:
        if session.paused_since is None:
            session.paused_since = self._clock.monotonic()
            self._paused.add(session.session_id)
            self._metrics.paused.set(len(self._paused))

    def _fall_behind(self, session: MapSession) -> None:
        session.behind = True
        self._note_pause(session)
        if not session.told_paused and self._uplink is not None:
            session.told_paused = True
            self._uplink.paused(session.route)

    def gone(self, session: MapSession) -> None:
        """The client, or its connection, went."""
        self._end(session, "client")

    def resumed(self, session: MapSession) -> None:
        """The client reads again."""
        session.paused_since = None
        self._paused.discard(session.session_id)
        self._metrics.paused.set(len(self._paused))
        self._admission.release(session)
        if session.behind:
            self._reopen(session)

    def _reopen(self, session: MapSession) -> None:
        """Open it anew at the map streamer, from what it holds."""
        if self._table.at(session.route) is not session:
            return
        session.behind = session.told_paused = False
        former = self._table.reroute(session)
        if self._uplink is not None and self._uplink.attached:
            self._uplink.closed(former)
            self._say_opened(session)

    def _open_upstream(self, session: MapSession) -> None:
        session.upstream = True
        self._metrics.waiting.set(self._admission.waiting)
        self._say_opened(session)

    def _say_opened(self, session: MapSession) -> None:
        if self._uplink is not None and self._uplink.attached:
            self._uplink.opened(session)

    def _not_opened(self, session: MapSession) -> None:
        if session.writer is None:
            refuse(session.responder, Refusal(503, "no map streamer took this map session in time", retry_after=2))
            self._end(session, "timeout")

    def _rest(self, session: MapSession) -> None:
        """Choose when silence has lasted long enough, and look again then."""
        session.keepalive_after = self._timing.keepalive + random.uniform(0, self._timing.jitter)
        session.timer = self._timer(self._wait_of(session), session.look)

    def _wait_of(self, session: MapSession) -> float:
        wait = session.last_sent + session.keepalive_after - self._clock.monotonic()
        if session.paused_since is not None:
            wait = session.paused_since + self._timing.slow_timeout - self._clock.monotonic()
        return max(wait, 0.001)

    def looked_at(self, session: MapSession) -> None:
        """Send a keep-alive if silence has lasted long enough; drop a client that does not read."""
        writer = session.writer
        if writer is None or writer.closed:
            return
        now = self._clock.monotonic()
        if session.paused_since is not None and now - session.paused_since >= self._timing.slow_timeout:
            self._close(session, "slow")
            return
        if now - session.last_sent < session.keepalive_after or session.paused_since is not None:
            session.timer = self._timer(self._wait_of(session), session.look)
            return
        message = ZSTD_KEEPALIVE if session.ask.zstd else PLAIN_KEEPALIVE
        if not session.ask.once and writer.send((message,)):
            self._count("keepalive", len(message))
        session.last_sent = now
        self._rest(session)

    def _close(self, session: MapSession, reason: Reason, *, upstream: bool = True) -> None:
        """We end it: the body too."""
        writer = session.writer
        self._end(session, reason, upstream=upstream)
        if writer is None:
            refuse(session.responder, Refusal(503, "this gateway is stopping", retry_after=1))
        elif reason == "slow":
            writer.abort()
        else:
            writer.end()

    def _end(self, session: MapSession, reason: Reason, *, upstream: bool = True) -> None:
        """It is over: forget it everywhere."""
        if not self._table.remove(session):
            return
        _cancel(session.deadline)
        _cancel(session.timer)
        session.deadline = session.timer = None
        self._paused.discard(session.session_id)
        if upstream and session.upstream and self._uplink is not None and self._uplink.attached:
            self._uplink.closed(session.route)
        if session.writer is not None and not session.ask.once:
            self._presence.closed(session.session_id)
        self._admission.release(session)
        self._metrics.sessions.set(len(self._table))
        self._metrics.paused.set(len(self._paused))
        self._metrics.ended.labels(reason).inc()
        log.debug("map session ended", session_id=session.session_id, node_id=session.node_id, reason=reason)

    def _count(self, kind: str, size: int, messages: int = 1) -> None:
        self._metrics.sent_by_kind[kind].inc(messages)
        self._metrics.bytes_sent.inc(size * messages)


def _cancel(timer: Cancellable | None) -> None:
    if timer is not None:
        timer.cancel()
