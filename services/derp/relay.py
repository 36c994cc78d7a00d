"""The routing state of one relay: connected clients, and where packets go. Knows no socket, clock or login.

A client is identified by the 32 raw bytes of its node key, which are compared once per packet. Frames leave through an
`Outlet` while it is writable; otherwise they are queued in the client's `Backlog`.

A key may have several connections (a laptop that resumed on another network). The newest, or the one that sent last,
is active; the others are read, but nothing is sent to them until they become active again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import Final, Protocol

from services.derp import frames
from services.derp.backlog import Backlog
from services.shared.keys import NodeKey
from services.shared.rate import Bucket, Rate

KEEP_ALIVE_SECONDS: Final = 60.0
KEEP_ALIVE_JITTER: Final = 5.0
MAX_CONNECTIONS_PER_KEY: Final = 8
_GONE_RATE: Final = Rate(burst=3, per_second=1)


class Outlet(Protocol):
    """The sending side of a connection."""

    @property
    def writable(self) -> bool:
        """Return whether `write` may be called now. When this becomes true again, the owner flushes the backlog."""
        ...

    def write(self, data: bytes) -> None:
        """Send whole frames."""
        ...

    def close(self, reason: str) -> None:
        """Close the connection; `reason` is logged."""
        ...


class Forwarder(Protocol):
    """A link to another relay of the region, for packets to the clients connected there."""

    def forward(self, source: bytes, destination: bytes, packet: bytes) -> bool:
        """Forward a packet. Returns False if it was dropped."""
        ...


@dataclass(slots=True)
class Counters:
    """Counters since the start; read by metrics."""

    packets_received: int = 0
    bytes_received: int = 0
    packets_sent: int = 0
    bytes_sent: int = 0
    packets_forwarded_out: int = 0
    packets_forwarded_in: int = 0
    dropped_unknown_destination: int = 0
    dropped_queue_head: int = 0
    dropped_mesh: int = 0
    pings_dropped: int = 0
    accepts: int = 0
    homes: int = 0
    revoked: int = 0


@dataclass(slots=True, eq=False)
class Client:
    """One logged-in connection."""

    key: NodeKey
    outlet: Outlet
    address: tuple[str, int]
    now: float
    mesh: bool = False
    flags: int = frames.PRESENT_REGULAR
    raw: bytes = b""
    backlog: Backlog = field(default_factory=Backlog)
    heard: set[bytes] = field(default_factory=set)
    gone_allowance: Bucket = field(init=False)
    preferred: bool = False
    shared_key: bool = False

    def __post_init__(self) -> None:
        self.raw = self.key.raw
        self.gone_allowance = Bucket(_GONE_RATE, self.now)

    def flush(self) -> None:
        """Send the queued frames; the connection calls this when it is writable again."""
        waiting = self.backlog.take()
        if waiting:
            self.outlet.write(b"".join(waiting))

    def notify(self, key: bytes, frame: bytes) -> bool:
        """Send or queue a notice about a peer. Returns False if it was lost."""
        if self.outlet.writable:
            self.outlet.write(frame)
            return True
        return self.backlog.push_notice(key, frame)


class Relay:
    """The routing state of one relay."""

    def __init__(self, *, random: Callable[[], float], keep_alive: float = KEEP_ALIVE_SECONDS) -> None:
        """`random` returns numbers in [0, 1) for the jitter of keep-alives; `keep_alive` is in seconds."""
        self.counters = Counters()
        self.active: dict[bytes, Client] = {}
        self._idle: dict[bytes, list[Client]] = {}
        self._forwarders: dict[bytes, list[Forwarder]] = {}
        self._watchers: dict[Client, None] = {}
        self._receivers: dict[bytes, set[Client]] = {}
        self._due: list[tuple[float, int, Client]] = []
        self._order = count()
        self._random = random
        self._keep_alive = keep_alive
        self._members: set[Client] = set()

    def __len__(self) -> int:
        return len(self._members)

    @property
    def remote_keys(self) -> int:
        """Return the number of node keys reached through other relays of the region."""
        return len(self._forwarders)

    @property
    def watchers(self) -> int:
        """Return the number of relays of the region that watch this one."""
        return len(self._watchers)

    def clients(self) -> Iterator[Client]:
        """Iterate over all logged-in connections."""
        return iter(self._members)

    def join(self, client: Client, now: float) -> None:
        """Add a logged-in connection; it becomes the active one of its key."""
        key = client.raw
        before = self.active.get(key)
        self._members.add(client)
        self.counters.accepts += 1
        if before is not None:
            idle = self._idle.setdefault(key, [])
            idle.append(before)
            before.shared_key = client.shared_key = True
        self.active[key] = client
        self._schedule(client, now)
        self._notify_watchers(key, frames.peer_present(key, client.address, client.flags))
        idle = self._idle.get(key, [])
        if len(idle) >= MAX_CONNECTIONS_PER_KEY:
            idle[0].outlet.close("too many connections of one node key")

    def leave(self, client: Client) -> None:
        """Remove a connection. If it was the last of its key, notify the clients that received from it."""
        if client not in self._members:
            return
        self._members.discard(client)
        self._watchers.pop(client, None)
        if client.preferred:
            self.counters.homes -= 1
        for source in client.heard:
            receivers = self._receivers.get(source)
            if receivers is not None:
                receivers.discard(client)
                if not receivers:
                    del self._receivers[source]
        client.heard.clear()
        key = client.raw
        idle = self._idle.get(key, [])
        if client in idle:
            idle.remove(client)
        elif idle:
            self.active[key] = idle.pop()
        else:
            del self.active[key]
            self._notify_watchers(key, frames.peer_gone(key, frames.GONE_DISCONNECTED))
            self._notify_receivers(key)
        if not idle:
            self._idle.pop(key, None)
            if key in self.active:
                self.active[key].shared_key = False

    def sent_by(self, client: Client) -> None:
        """Make a connection that shares its key the active one, as it sent a packet."""
        key = client.raw
        active = self.active.get(key)
        if active is None or active is client or client not in self._members:
            return
        idle = self._idle[key]
        idle.remove(client)
        idle.append(active)
        self.active[key] = client

    def send(self, client: Client, destination: bytes, packet: bytes, now: float) -> None:
        """Deliver, forward or drop a packet; the sender of a dropped discovery packet gets PeerGone."""
        self.counters.packets_received += 1
        self.counters.bytes_received += len(packet)
        target = self.active.get(destination)
        if target is not None:
            self.deliver(target, client.raw, frames.recv_packet(client.raw, packet), disco=frames.is_disco(packet))
            return
        forwarders = self._forwarders.get(destination)
        if forwarders:
            if forwarders[-1].forward(client.raw, destination, packet):
                self.counters.packets_forwarded_out += 1
            else:
                self.counters.dropped_mesh += 1
            return
        self.counters.dropped_unknown_destination += 1
        if frames.is_disco(packet) and client.gone_allowance.spend(now):
            client.notify(destination, frames.peer_gone(destination, frames.GONE_NOT_HERE))

    def forwarded(self, source: bytes, destination: bytes, packet: bytes) -> None:
        """Deliver a packet that another relay forwarded. It is never forwarded again, so no packet can loop."""
        self.counters.packets_forwarded_in += 1
        target = self.active.get(destination)
        if target is None:
            self.counters.dropped_unknown_destination += 1
            return
        self.deliver(target, source, frames.recv_packet(source, packet), disco=frames.is_disco(packet))

    def deliver(self, target: Client, source: bytes, frame: bytes, *, disco: bool) -> None:
        """Send or queue one RecvPacket frame."""
        if target.outlet.writable:
            self.delivered(target, source, 1, len(frame))
            target.outlet.write(frame)
        else:
            self._note_sender(target, source)
            if not target.backlog.push_packet(frame, disco=disco):
                self.counters.dropped_queue_head += 1

    def delivered(self, target: Client, source: bytes, packets: int, size: int) -> None:
        """Count frames of one source that were sent to `target` in one write; `size` is in bytes."""
        self.counters.packets_sent += packets
        self.counters.bytes_sent += size
        if source not in target.heard:
            self._note_sender(target, source)

    def ping(self, client: Client, data: bytes) -> None:
        """Answer a ping, unless the previous pong is still queued."""
        pong = frames.frame(frames.PONG, data)
        if client.outlet.writable:
            client.outlet.write(pong)
        elif not client.backlog.push_pong(pong):
            self.counters.pings_dropped += 1

    def note_preferred(self, client: Client, home: bool) -> None:
        """Count whether this relay is a client's home; nothing else depends on it."""
        if home != client.preferred:
            client.preferred = home
            self.counters.homes += 1 if home else -1

    def watch(self, client: Client) -> None:
        """Subscribe a relay of the region to the keys connected here, now and as they change."""
        if client in self._watchers:
            return
        self._watchers[client] = None
        known = b"".join(frames.peer_present(key, peer.address, peer.flags) for key, peer in self.active.items())
        client.outlet.write(known)

    def close_peer(self, key: bytes) -> None:
        """Close every connection of a key, as requested by a relay of the region."""
        self.close_key(key, "closed by a relay of the region")

    def close_key(self, key: bytes, reason: str) -> None:
        """Close every connection of a key; `reason` is logged."""
        active = self.active.get(key)
        if active is not None:
            for client in [*self._idle.get(key, []), active]:
                client.outlet.close(reason)

    def add_forwarder(self, key: bytes, forwarder: Forwarder) -> None:
        """Route a key through another relay of the region; the latest announcement wins."""
        known = self._forwarders.setdefault(key, [])
        if forwarder in known:
            known.remove(forwarder)
        known.append(forwarder)

    def remove_forwarder(self, key: bytes, forwarder: Forwarder) -> None:
        """Remove the route of a key through another relay."""
        known = self._forwarders.get(key, [])
        if forwarder not in known:
            return
        known.remove(forwarder)
        if not known:
            del self._forwarders[key]
            self._notify_receivers(key)

    def tick(self, now: float) -> None:
        """Send the keep-alives that are due (clients disconnect after 120 seconds of silence)."""
        while self._due and self._due[0][0] <= now:
            _, _, client = heappop(self._due)
            if client in self._members:
                if client.outlet.writable:
                    client.outlet.write(frames.KEEP_ALIVE_FRAME)
                self._schedule(client, now)

    def announce_restart(self, spread_ms: int, try_ms: int) -> None:
        """Send Restarting to every client, with a random reconnect delay below `spread_ms` milliseconds."""
        for client in list(self._members):
            if client.outlet.writable:
                client.outlet.write(frames.restarting(int(self._random() * spread_ms), try_ms))

    def _schedule(self, client: Client, now: float) -> None:
        heappush(self._due, (now + self._keep_alive + KEEP_ALIVE_JITTER * self._random(), next(self._order), client))

    def _note_sender(self, target: Client, source: bytes) -> None:
        if source not in target.heard:
            target.heard.add(source)
            self._receivers.setdefault(source, set()).add(target)

    def _notify_receivers(self, key: bytes) -> None:
        if key in self.active or key in self._forwarders:
            return
        for receiver in self._receivers.pop(key, ()):
            receiver.heard.discard(key)
            receiver.notify(key, frames.peer_gone(key, frames.GONE_DISCONNECTED))

    def _notify_watchers(self, key: bytes, frame: bytes) -> None:
        for watcher in list(self._watchers):
            if not watcher.notify(key, frame):
                watcher.outlet.close("mesh watcher too slow")
