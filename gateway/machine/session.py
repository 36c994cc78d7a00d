"""One map session and the table of all of them. Owns identities and what each session holds; sends nothing.

A session has two numbers. `session_id` stays for its life and is what the registry hears. `route` is the number that
the map streamer uses; it changes whenever the session is opened anew there, so that messages that were under way for
the former opening find nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from gateway.exchange import Responder, StreamWriter
from services.shared.keys import MachineKey, NodeKey


class Cancellable(Protocol):
    """A timer that may be taken back."""

    def cancel(self) -> None:
        """Do not fire; harmless afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class Held:
    """Position in each change log, and the time of what was ended by then: what a session was last sent."""

    registry: int
    policy: int
    time: int = 0


@dataclass(frozen=True, slots=True)
class MapAsk:
    """What a client asked for, checked as far as a gateway can."""

    machine_key: MachineKey
    node_key: NodeKey
    cap_version: int
    zstd: bool
    once: bool
    """One full map and the end."""


class Keeper(Protocol):
    """Who serves sessions and hears what becomes of them."""

    def gone(self, session: MapSession) -> None:
        """The client, or its connection, went."""
        ...

    def resumed(self, session: MapSession) -> None:
        """The client reads again."""
        ...

    def looked_at(self, session: MapSession) -> None:
        """The time has come that was chosen for the next look."""
        ...


class MapSession:
    """A map session: opening until the map streamer accepts it, then live until someone ends it."""

    __slots__ = (
        "ask",
        "behind",
        "deadline",
        "has_map",
        "held",
        "keepalive_after",
        "keeper",
        "last_sent",
        "missed",
        "node_id",
        "paused_since",
        "reserved",
        "responder",
        "route",
        "session_id",
        "timer",
        "told_paused",
        "upstream",
        "writer",
    )

    def __init__(self, session_id: int, ask: MapAsk, responder: Responder, keeper: Keeper) -> None:
        self.keeper = keeper
        self.session_id = session_id
        self.route = session_id
        self.ask = ask
        self.responder = responder
        self.writer: StreamWriter | None = None
        """None while opening."""
        self.node_id = 0
        self.upstream = False
        """Whether it may be opened at the map streamer (it is past the limit on full maps)."""
        self.held: Held | None = None
        self.has_map = False
        self.missed = False
        """Whether its full map named a frame that was forgotten: the next one must come in one piece."""
        self.behind = False
        """A message was refused because the client reads slowly; `held` is from before that message."""
        self.told_paused = False
        self.paused_since: float | None = None
        self.reserved = 0
        """Bytes of full maps in flight that stand under this session's name."""
        self.last_sent = 0.0
        self.keepalive_after = 0.0
        self.deadline: Cancellable | None = None
        self.timer: Cancellable | None = None

    # What others call back: each is half as large as a partial of the keeper's.

    def gone(self) -> None:
        """The client, or its connection, went."""
        self.keeper.gone(self)

    def resumed(self) -> None:
        """The client reads again."""
        self.keeper.resumed(self)

    def look(self) -> None:
        """The time has come that was chosen for the next look."""
        self.keeper.looked_at(self)


class SessionTable:
    """Every map session of this gateway, found by each of its names."""

    __slots__ = ("_by_keys", "_by_node", "_by_route", "_last", "at")

    def __init__(self) -> None:
        self._last = 0
        self._by_route: dict[int, MapSession] = {}
        self.at: Callable[[int], MapSession | None] = self._by_route.get
        """The session that the map streamer calls so, if it still does."""
        self._by_keys: dict[tuple[MachineKey, NodeKey], MapSession] = {}
        self._by_node: dict[int, MapSession] = {}

    def __len__(self) -> int:
        return len(self._by_route)

    def __iter__(self) -> Iterator[MapSession]:
        return iter(list(self._by_route.values()))

    def create(self, ask: MapAsk, responder: Responder, keeper: Keeper) -> MapSession:
        """A new session, opening."""
        session = MapSession(self._next(), ask, responder, keeper)
        self._by_route[session.route] = session
        return session

    def of_node(self, node_id: int) -> MapSession | None:
        """The live session of a node."""
        return self._by_node.get(node_id)

    def reroute(self, session: MapSession) -> int:
        """Give a session another route; return the former one."""
        former = session.route
        del self._by_route[former]
        session.route = self._next()
        self._by_route[session.route] = session
        return former

    def go_live(self, session: MapSession, node_id: int) -> MapSession | None:
        """A session serves this node now; return the older one of the same keys that it takes over from."""
        session.node_id = node_id
        keys = (session.ask.machine_key, session.ask.node_key)
        older = self._by_keys.get(keys)
        self._by_keys[keys] = session
        self._by_node[node_id] = session
        return older

    def remove(self, session: MapSession) -> bool:
        """Forget a session; False when it was forgotten before."""
        if self._by_route.pop(session.route, None) is None:
            return False
        keys = (session.ask.machine_key, session.ask.node_key)
        if self._by_keys.get(keys) is session:
            del self._by_keys[keys]
        if self._by_node.get(session.node_id) is session:
            del self._by_node[session.node_id]
        return True

    def _next(self) -> int:
        self._last += 1
        return self._last
