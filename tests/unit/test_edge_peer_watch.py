"""When a peer is asked whether it is there, and when it counts as lost."""

from __future__ import annotations

import socket
import struct

import pytest

from gateway.edge.outage_guard import OutageGuard
from gateway.edge.peer_watch import KEEPALIVE, KEEPCNT, KEEPIDLE, KEEPINTVL, AwakeMachines, PeerWatch
from gateway.edge.settings import EdgeSettings
from gateway.edge.tcp_signs import read_tcp_signs
from gateway.edge.wheel import TimerWheel
from services.shared.config.processes import GatewayConfig
from services.shared.keys import MachineKey
from tests.fakes.tunnel import FakeTime

MACHINE = MachineKey(b"\1" * 32)


class Kernel:
    """A socket whose TCP_INFO a test sets; its peer's kernel sends a keep-alive probe after each 30 s of silence."""

    def __init__(self, time: FakeTime, *, keepalives: bool = True) -> None:
        self._time, self.keepalives = time, keepalives
        self.carried_at = time.seconds
        self.cut_at: float | None = None
        self.options: dict[tuple[int, int], int] = {}
        self.unacked = self.reads = 0
        self._base = 4

    @property
    def probing(self) -> bool:
        """Whether our kernel probes the peer."""
        return self.options.get((socket.SOL_SOCKET, socket.SO_KEEPALIVE)) == 1

    def carry(self) -> None:
        """Data was acknowledged just now."""
        self._base = self._segments() + 1
        self.carried_at = self._time.seconds

    def _segments(self) -> int:
        end = self._time.seconds if self.cut_at is None else min(self.cut_at, self._time.seconds)
        return self._base + (int((end - self.carried_at) // KEEPALIVE) if self.keepalives else 0)

    def setsockopt(self, level: int, option: int, value: int, /) -> None:
        self.options[level, option] = value

    def getsockopt(self, level: int, option: int, size: int, /) -> bytes:
        assert (level, option) == (socket.IPPROTO_TCP, socket.TCP_INFO)
        self.reads += 1
        info = bytearray(size)
        struct.pack_into("=I", info, 24, self.unacked)
        struct.pack_into("=I", info, 56, int((self._time.seconds - self.carried_at) * 1000))
        struct.pack_into("=I", info, 140, self._segments())
        return bytes(info)


class Peer:
    """A tunnel and its peer: answers PINGs unless it is silent."""

    def __init__(self, shared: Shared, kernel: Kernel | None) -> None:
        self.shared, self.kernel = shared, kernel
        self.pings: list[float] = []
        self.lost_at: float | None = None
        self.silent = False
        self.has_streams, self.has_unsent = True, False
        self.records_sent = 1
        self.watch = PeerWatch(self, shared, kernel, MACHINE)

    def send_ping(self) -> None:
        self.pings.append(self.shared.time.seconds)
        if not self.silent:
            self.shared.time.after(0.05, self._answer)

    def _answer(self) -> None:
        if self.kernel is not None:
            self.kernel.carry()
        self.watch.received_at = self.shared.time.seconds
        self.watch.answered()

    def check_use(self) -> bool:
        return True

    def end_as_lost(self) -> None:
        self.lost_at = self.shared.time.seconds
        self.watch.stop()

    def cut(self) -> None:
        """Cut its link: nothing arrives any more."""
        self.silent = True
        if self.kernel is not None:
            self.kernel.cut_at = self.shared.time.seconds


class Shared:
    """What all tunnels share, on a clock that a test moves."""

    def __init__(self, tunnels: int = 1) -> None:
        self.time = FakeTime()
        self.wheel = TimerWheel(self.time.monotonic, self.time.after, 0.5)
        self.settings = EdgeSettings.of(GatewayConfig())
        self.guard = OutageGuard(self.wheel.now, self.wheel.stalled_since)
        self.awake = AwakeMachines()
        self.tunnel_count = tunnels

    def peer(self, *, keepalives: bool = True) -> Peer:
        return Peer(self, Kernel(self.time, keepalives=keepalives))


def test_a_peer_that_sends_keepalives_is_probed_by_our_kernel() -> None:
    shared = Shared(tunnels=5000)
    peer = shared.peer()
    assert peer.kernel is not None and not peer.kernel.probing
    shared.time.advance(45)
    assert peer.kernel.probing
    options = {peer.kernel.options[socket.IPPROTO_TCP, name] for name in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL)}
    assert options == {KEEPIDLE, KEEPINTVL} and KEEPIDLE + KEEPINTVL * KEEPCNT < 30


def test_the_next_tunnel_of_a_machine_that_sends_keepalives_is_probed_from_the_start() -> None:
    shared = Shared()
    shared.peer()
    shared.time.advance(45)
    again = shared.peer()
    assert again.kernel is not None and again.kernel.probing
    again.silent, stopped_at = True, shared.time.seconds
    shared.time.advance(60)
    assert again.lost_at is not None and again.lost_at - stopped_at <= 30


def test_machines_that_are_awake_are_remembered_in_bounded_number() -> None:
    awake = AwakeMachines(capacity=2)
    machines = [MachineKey(bytes([number] * 32)) for number in range(3)]
    for machine in machines:
        awake.note(machine)
    assert [machine in awake for machine in machines] == [False, True, True]


@pytest.mark.parametrize("moment", [0.0, 1.0, 5.0, 7.0, 9.0, 11.9])
def test_a_cut_link_with_bytes_under_way_is_noticed_within_30_seconds(moment: float) -> None:
    shared = Shared(tunnels=5000)
    peer = shared.peer()
    shared.time.advance(90)
    assert peer.kernel is not None and peer.kernel.probing
    shared.time.advance(moment)
    cut_at = shared.time.seconds
    peer.kernel.carry()
    peer.cut()
    shared.time.advance(KEEPIDLE)  # as late as bytes can be sent before our kernel probes
    peer.kernel.unacked = 1
    peer.records_sent += 1
    shared.time.advance(60)
    assert peer.lost_at is not None and peer.lost_at - cut_at <= 31


@pytest.mark.parametrize("moment", [0.0, 5.0, 14.0])
def test_a_stopped_process_is_noticed_within_30_seconds_among_few_tunnels(moment: float) -> None:
    shared = Shared(tunnels=100)
    peer = shared.peer()
    shared.time.advance(90 + moment)
    peer.silent, stopped_at = True, shared.time.seconds  # its kernel still answers probes
    shared.time.advance(60)
    assert peer.lost_at is not None and peer.lost_at - stopped_at <= 30


def test_a_quiet_peer_among_thousands_is_asked_every_few_minutes_and_stays() -> None:
    shared = Shared(tunnels=5000)
    peer = shared.peer()
    shared.time.advance(3600)
    assert peer.lost_at is None
    assert len(peer.pings) <= 3600 / 55


def test_a_peer_without_keepalives_gets_no_more_than_one_ping_a_full_check() -> None:
    shared = Shared(tunnels=10)
    peer = shared.peer(keepalives=False)
    shared.time.advance(3600)
    assert peer.lost_at is None and peer.kernel is not None and not peer.kernel.probing
    assert len(peer.pings) <= 3600 / shared.settings.check_interval


def test_a_probed_peer_that_does_not_answer_is_lost_at_the_timeout() -> None:
    shared = Shared()
    peer = shared.peer()
    peer.silent = True
    began = shared.time.seconds
    peer.watch.probe(3.0)
    peer.watch.probe(60.0)
    shared.time.advance(10)
    assert peer.lost_at is not None and 3.0 <= peer.lost_at - began <= 4.0


def test_a_peer_that_sent_anything_since_the_ping_is_not_lost() -> None:
    shared = Shared()
    peer = shared.peer()
    peer.silent = True
    peer.watch.probe(3.0)
    shared.time.advance(1)
    peer.watch.received_at = shared.time.seconds
    shared.time.advance(5)
    assert peer.lost_at is None


def test_a_peer_that_acknowledges_data_before_the_ping_is_not_lost() -> None:
    shared = Shared()
    peer = shared.peer()
    peer.silent = peer.has_unsent = True
    peer.watch.probe(3.0)
    shared.time.advance(2)
    assert peer.kernel is not None
    peer.kernel.carry()
    shared.time.advance(4)
    assert peer.lost_at is None


def test_when_nobody_answers_nobody_is_lost() -> None:
    shared = Shared(tunnels=20)
    peers = [shared.peer() for _ in range(20)]
    for peer in peers:
        peer.silent = True
        peer.watch.probe(3.0)
    shared.time.advance(30)
    assert all(peer.lost_at is None for peer in peers)
    assert shared.guard.discarded >= 20


def test_peers_that_nobody_outlives_are_lost_in_the_end() -> None:
    shared = Shared(tunnels=2)
    peers = [shared.peer() for _ in range(2)]
    for peer in peers:
        peer.cut()
        peer.watch.probe(3.0)
    shared.time.advance(120)
    assert all(peer.lost_at is not None for peer in peers)


def test_half_of_the_probed_are_lost_at_the_second_miss_when_others_answer() -> None:
    shared = Shared(tunnels=4)
    peers = [shared.peer() for _ in range(4)]
    for peer in peers[:2]:
        peer.cut()
    for _ in range(4):
        for peer in peers:
            if peer.lost_at is None:
                peer.watch.probe(3.0)
        shared.time.advance(5)
    assert all(peer.lost_at is not None for peer in peers[:2])
    assert all(peer.lost_at is None for peer in peers[2:])


def test_a_stall_of_the_event_loop_is_nobodys_loss() -> None:
    shared = Shared()
    peer = shared.peer()
    peer.silent = True
    peer.watch.probe(3.0)
    shared.time.seconds += 8  # nothing ran meanwhile
    shared.time.advance(0.6)
    assert peer.lost_at is None
    peer.silent = False
    shared.time.advance(30)
    assert peer.lost_at is None


def test_signs_of_a_real_connection_count_keepalive_probes_as_segments_only() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"x")
            assert accepted.recv(1) == b"x"
            first = read_tcp_signs(accepted)
            client.sendall(b"y")
            assert accepted.recv(1) == b"y"
            second = read_tcp_signs(accepted)
    assert first is not None and second is not None
    assert (first.unacked, second.unacked) == (0, 0) and second.segments > first.segments
    assert 0 <= second.since_ack < 60
    assert read_tcp_signs(accepted) is None and read_tcp_signs(None) is None


def test_the_kernel_is_asked_about_an_awake_peer_only_after_something_was_sent() -> None:
    shared = Shared(tunnels=5000)
    peer = shared.peer()
    shared.time.advance(90)
    assert peer.kernel is not None and peer.kernel.probing
    before = peer.kernel.reads
    shared.time.advance(120)
    assert peer.kernel.reads == before
    peer.records_sent += 1
    shared.time.advance(60)
    assert peer.kernel.reads == before + 1


@pytest.mark.parametrize("connected_for", [0.0, 1.0, 30.0, 75.0])
def test_an_awake_peer_behind_a_balancer_is_lost_within_30_seconds(connected_for: float) -> None:
    shared = Shared(tunnels=200)
    peer = shared.peer(keepalives=False)
    shared.time.advance(connected_for)
    peer.watch.note_awake()
    shared.time.advance(65)
    peer.silent, stopped_at = True, shared.time.seconds
    shared.time.advance(60)
    assert peer.lost_at is not None and peer.lost_at - stopped_at <= 30


def test_a_peer_that_may_sleep_gets_no_ping_within_a_minute() -> None:
    shared = Shared()
    peer = shared.peer(keepalives=False)
    shared.time.advance(59)
    assert peer.pings == []
