"""One map session and the table of all of them. Owns identities and positions; sends nothing.

A session has two numbers. `session_id` is fixed and is reported to the registry. `route` is the number that the map
streamer uses; it changes whenever the session is opened again there, so that messages under way for the earlier opening
reach no session.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from gateway.exchange import Responder, StreamWriter
from gateway.machine.session_state import Reading, ReadingEvent, Stage, StageEvent, next_reading, next_stage
from services.shared.keys import MachineKey, NodeKey


class Cancellable(Protocol):
    """A timer that can be cancelled."""

    def cancel(self) -> None:
        """Prevent the callback; idempotent."""
        ...


@dataclass(frozen=True, slots=True)
class Cursor:
    """Position in each change log up to which a session was sent everything."""

    registry: int
    policy: int
    time: int = 0
    """Seconds since 1970 up to which ends of keys and rights are included."""


@dataclass(frozen=True, slots=True)
class MapSessionRequest:
    """A request for a map session; keys are parsed, not yet proven to belong together."""

    machine_key: MachineKey
    node_key: NodeKey
    cap_version: int
    zstd: bool
    once: bool
    """Whether one full map is wanted instead of a stream."""
    stays_awake: bool = False
    """True if the client's system does not sleep between packets, as phones do."""


class SessionOwner(Protocol):
    """Serves sessions; called back through them."""

    def gone(self, session: MapSession) -> None:
        """Handle the end of the client or of its connection."""
        ...

    def resumed(self, session: MapSession) -> None:
        """Handle a client that reads again."""
        ...

    def check_idle(self, session: MapSession) -> None:
        """Handle the session's timer."""
        ...


class MapSession:
    """A map session, from the request until either side ends it."""

    __slots__ = (
        "cursor",
        "deadline",
        "keepalive_after",
        "last_sent",
        "needs_whole_map",
        "node_id",
        "owner",
        "paused_since",
        "reading",
        "request",
        "reserved",
        "responder",
        "route",
        "session_id",
        "stage",
        "timer",
        "writer",
    )

    def __init__(self, session_id: int, request: MapSessionRequest, responder: Responder, owner: SessionOwner) -> None:
        self.owner = owner
        self.session_id = session_id
        self.route = session_id
        self.request = request
        self.responder = responder
        self.writer: StreamWriter | None = None
        """None until the map streamer has accepted the session."""
        self.node_id = 0
        self.stage = Stage.WAITING
        self.reading = Reading.READING
        self.cursor: Cursor | None = None
        """None until a map was sent."""
        self.needs_whole_map = False
        """Whether a full map named a frame that the cache had dropped: the next one must come in one piece."""
        self.paused_since: float | None = None
        self.reserved = 0
        """Bytes of full maps in flight that are charged to this session."""
        self.last_sent = 0.0
        self.keepalive_after = 0.0
        self.deadline: Cancellable | None = None
        self.timer: Cancellable | None = None

    @property
    def upstream(self) -> bool:
        """Return whether the map streamer knows the session, or must be sent it on attachment."""
        return self.stage is not Stage.WAITING and self.stage is not Stage.DISMISSED

    @property
    def has_map(self) -> bool:
        """Return whether a full map was sent."""
        return self.stage is Stage.LIVE

    def advance(self, event: StageEvent) -> None:
        """Move to another stage."""
        self.stage = next_stage(self.stage, event)

    def change_reading(self, event: ReadingEvent) -> None:
        """Change the reading state of the client."""
        self.reading = next_reading(self.reading, event)

    # Callbacks of the tunnel and the timer; a bound method takes half the memory of a partial.

    def gone(self) -> None:
        """Pass on that the client or its connection has ended."""
        self.owner.gone(self)

    def resumed(self) -> None:
        """Pass on that the client reads again."""
        self.owner.resumed(self)

    def check_idle(self) -> None:
        """Pass on that the session's timer has fired."""
        self.owner.check_idle(self)


class SessionTable:
    """All map sessions of this gateway, by route, keys and node."""

    __slots__ = ("_by_keys", "_by_node", "_by_route", "_last", "at")

    def __init__(self) -> None:
        self._last = 0
        self._by_route: dict[int, MapSession] = {}
        self.at: Callable[[int], MapSession | None] = self._by_route.get
        """Return the session of a route, or None if it has ended or has another route."""
        self._by_keys: dict[tuple[MachineKey, NodeKey], MapSession] = {}
        self._by_node: dict[int, MapSession] = {}

    def __len__(self) -> int:
        return len(self._by_route)

    def __iter__(self) -> Iterator[MapSession]:
        return iter(list(self._by_route.values()))

    def create(self, request: MapSessionRequest, responder: Responder, owner: SessionOwner) -> MapSession:
        """Add a new session."""
        session = MapSession(self._next(), request, responder, owner)
        self._by_route[session.route] = session
        return session

    def of_node(self, node_id: int) -> MapSession | None:
        """Return the session of a node, if it has one here."""
        return self._by_node.get(node_id)

    def reroute(self, session: MapSession) -> int:
        """Give a session a new route. Returns the old one."""
        former = session.route
        del self._by_route[former]
        session.route = self._next()
        self._by_route[session.route] = session
        return former

    def attach_node(self, session: MapSession, node_id: int) -> MapSession | None:
        """Register the node that a session serves. Returns the older session of the same keys that it supersedes."""
        session.node_id = node_id
        keys = (session.request.machine_key, session.request.node_key)
        older = self._by_keys.get(keys)
        self._by_keys[keys] = session
        self._by_node[node_id] = session
        return older

    def remove(self, session: MapSession) -> bool:
        """Remove a session. Returns False if it was removed before."""
        if self._by_route.pop(session.route, None) is None:
            return False
        keys = (session.request.machine_key, session.request.node_key)
        if self._by_keys.get(keys) is session:
            del self._by_keys[keys]
        if self._by_node.get(session.node_id) is session:
            del self._by_node[session.node_id]
        return True

    def _next(self) -> int:
        self._last += 1
        return self._last
