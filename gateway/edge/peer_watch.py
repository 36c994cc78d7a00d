"""Detects that the peer of one tunnel is lost. Decides when to ask; the tunnel sends PINGs and cuts the connection.

Signs, cheapest first:

* Bytes received, and segments that the kernel counted: free. Clients other than phones let their kernel send a
  keep-alive probe after 30 s of silence (seen of tsnet 1.90.9). A peer from which one was seen is awake anyway, so from
  then on our kernel probes it sooner, which takes the place of its own probes, and ends the connection when the link is
  cut. Bytes that stay unacknowledged keep the kernel from probing; they are a reason to ask.
* An HTTP/2 PING: 17 bytes each way, answered by the client's process, so it also finds a process that is stopped while
  its kernel still acknowledges. Sent on suspicion, to peers that others depend on (`probe`), and at a bounded total
  rate to idle peers that are awake.

A peer is awake if its kernel was seen to send keep-alive probes, or if a map session says so (`note_awake`): behind a
reverse proxy or a TCP balancer the kernel's signs are those of the proxy, and only PINGs find a loss. Any other peer
may be a phone whose radio sleeps: it gets a PING only when nothing came between two full checks.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from gateway.edge.outage_guard import OutageGuard
from gateway.edge.settings import EdgeSettings
from gateway.edge.tcp_signs import TcpSocket, enable_keepalive, read_tcp_signs
from gateway.edge.wheel import Timer, TimerWheel
from services.shared.keys import MachineKey

KEEPALIVE = 30.0
"""Seconds of silence after which a client's kernel sends a keep-alive probe (Go `net/http` DefaultTransport)."""
SLACK = 2.0
"""Seconds that a keep-alive probe may be late."""
KEEPIDLE, KEEPINTVL, KEEPCNT = 12, 5, 2
"""Seconds of silence before our kernel probes an awake peer, seconds between probes, probes: 22 s for a cut link."""
POLL = 12.0
"""Seconds between two checks of an awake peer."""
UNACKED_FOR = 8.0
"""Seconds without an acknowledgement after which waiting bytes are a reason to ask."""
IDLE_PING = 12.0
PING_TIMEOUT = 5.0
IDLE_PINGS_PER_SECOND = 20
"""PINGs to idle peers, all tunnels together: with 240 of them each is asked every 12 s, with 5,000 every 250 s."""


class WatchedTunnel(Protocol):
    """The tunnel, as its watch needs it."""

    @property
    def has_streams(self) -> bool:
        """Return whether a request is being answered; without one no service depends on this peer."""
        ...

    @property
    def records_sent(self) -> int:
        """Number of records sent so far."""
        ...

    @property
    def has_unsent(self) -> bool:
        """Return whether bytes wait for the peer, so that a PING waits behind them."""
        ...

    def send_ping(self) -> None:
        """Send a PING."""
        ...

    def check_use(self) -> bool:
        """End a tunnel that is unused or does not read. Returns whether it stays open."""
        ...

    def end_as_lost(self) -> None:
        """Cut the connection."""
        ...


class AwakeMachines:
    """Machine keys of peers that are awake, so that their next tunnel is probed from the start."""

    def __init__(self, capacity: int = 1 << 17) -> None:
        """Beyond `capacity` the key noted least recently is forgotten."""
        self._capacity = capacity
        self._machines: OrderedDict[MachineKey, None] = OrderedDict()

    def __contains__(self, machine: MachineKey) -> bool:
        return machine in self._machines

    def note(self, machine: MachineKey) -> None:
        """Record that a machine is awake."""
        self._machines[machine] = None
        self._machines.move_to_end(machine)
        if len(self._machines) > self._capacity:
            self._machines.popitem(last=False)


class WatchContext(Protocol):
    """Parts and intervals that the watches of all tunnels share."""

    settings: EdgeSettings
    guard: OutageGuard
    awake: AwakeMachines

    @property
    def wheel(self) -> TimerWheel: ...
    @property
    def tunnel_count(self) -> int: ...


class PeerWatch:
    """Watches one peer from its first record on."""

    __slots__ = (
        "_acked_records",
        "_asked_at",
        "_awake",
        "_checked_at",
        "_full_check_at",
        "_machine",
        "_missed",
        "_ping_due",
        "_ping_timer",
        "_segments",
        "_shared",
        "_socket",
        "_timer",
        "_tunnel",
        "received_at",
    )

    def __init__(
        self, tunnel: WatchedTunnel, shared: WatchContext, sock: TcpSocket | None, machine: MachineKey
    ) -> None:
        self._tunnel, self._shared, self._socket, self._machine = tunnel, shared, sock, machine
        now = shared.wheel.now()
        self.received_at = self._checked_at = now
        """Loop time of the last bytes from the peer; the tunnel sets it."""
        self._full_check_at = now + shared.settings.check_interval
        self._segments = self._missed = 0
        self._acked_records = -1
        """Records that had been sent when the peer had last acknowledged everything."""
        self._awake = machine in shared.awake and self._let_kernel_probe()
        """Whether the peer may be probed while it is idle."""
        self._asked_at: float | None = None
        self._ping_due = 0.0
        self._ping_timer: Timer | None = None
        self._timer = shared.wheel.after(min(shared.settings.check_interval, SLACK), self._check)

    def stop(self) -> None:
        """End the watch."""
        self._timer.cancel()
        if self._ping_timer is not None:
            self._ping_timer.cancel()
            self._ping_timer = None

    def probe(self, timeout: float) -> None:
        """Send a PING; without an answer within `timeout` seconds the peer is lost. May shorten an earlier wait."""
        wheel = self._shared.wheel
        now = wheel.now()
        if self._asked_at is None:
            self._asked_at = now
            self._shared.guard.sent()
            self._tunnel.send_ping()
        elif now + timeout >= self._ping_due:
            return
        elif self._ping_timer is not None:
            self._ping_timer.cancel()
        self._ping_due = now + timeout
        self._ping_timer = wheel.after(timeout, self._ping_missed)

    def note_awake(self) -> None:
        """Probe the peer from now on, because its system is known not to sleep."""
        if self._awake:
            return
        self._awake = self._let_kernel_probe()
        if self._awake:
            self._shared.awake.note(self._machine)
            self._timer.cancel()
            self._timer = self._shared.wheel.after(POLL, self._check)

    def answered(self) -> None:
        """Handle the answer of the peer to a PING."""
        if self._asked_at is not None:
            self._shared.guard.answered()
        self._forget_ping()
        self._missed = 0

    def _forget_ping(self) -> None:
        self._asked_at = None
        if self._ping_timer is not None:
            self._ping_timer.cancel()
            self._ping_timer = None

    def _ping_missed(self) -> None:
        asked_at = self._asked_at
        if asked_at is None:
            return
        self._forget_ping()
        if self.received_at > asked_at or self._is_draining(asked_at):
            return
        if self._shared.guard.is_loss(asked_at, self._missed):
            self._tunnel.end_as_lost()
        else:
            self._missed += 1
            self.probe(PING_TIMEOUT)

    def _is_draining(self, asked_at: float) -> bool:
        """Return whether the PING still waits behind data that the peer acknowledges."""
        if not self._tunnel.has_unsent:
            return False
        signs = read_tcp_signs(self._socket)
        return signs is not None and signs.since_ack < self._shared.wheel.now() - asked_at

    def _check(self) -> None:
        now = self._shared.wheel.now()
        if now >= self._full_check_at:
            if not self._tunnel.check_use():
                return
            interval = self._shared.settings.check_interval
            if self.received_at <= self._full_check_at - interval and self._tunnel.has_streams:
                self.probe(interval)
            self._full_check_at = now + interval
        wait = self._full_check_at - now
        if self._tunnel.has_streams:
            wait = min(wait, self._check_quiet(now))
        self._timer = self._shared.wheel.after(wait, self._check)

    def _check_quiet(self, now: float) -> float:
        """Check for signs of life of the peer. Returns the seconds until the next check."""
        if self._awake:
            if not self._ask_if_unacked():
                self._ping_if_idle(now)
            return POLL
        signs = read_tcp_signs(self._socket)
        if signs is None:
            return self._shared.settings.check_interval
        silence = min(signs.since_ack, now - self.received_at)
        # Longer silence than since the last check: what came can only have been a keep-alive probe.
        if self._segments and signs.segments != self._segments and silence > now - self._checked_at:
            self._awake = self._let_kernel_probe()
            self._shared.awake.note(self._machine)
        self._segments, self._checked_at = signs.segments, now
        if self._awake:
            return POLL
        due = KEEPALIVE + SLACK - silence
        return due if due > 0 else self._shared.settings.check_interval

    def _ask_if_unacked(self) -> bool:
        """Send a PING if bytes are not acknowledged. Reads the kernel's state only if something was sent meanwhile."""
        sent = self._tunnel.records_sent
        if sent == self._acked_records:
            return False
        signs = read_tcp_signs(self._socket)
        if signs is None or not signs.unacked:
            self._acked_records = sent
            return False
        if signs.since_ack <= UNACKED_FOR:
            return False
        self.probe(PING_TIMEOUT)
        return True

    def _let_kernel_probe(self) -> bool:
        return self._socket is not None and enable_keepalive(self._socket, KEEPIDLE, KEEPINTVL, KEEPCNT)

    def _ping_if_idle(self, now: float) -> None:
        if now - self.received_at >= max(IDLE_PING, self._shared.tunnel_count / IDLE_PINGS_PER_SECOND):
            self.probe(PING_TIMEOUT)
