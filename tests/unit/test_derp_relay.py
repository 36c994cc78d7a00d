"""The relay's routing state: delivery, queues, duplicates, news about peers, mesh."""

from __future__ import annotations

import pytest

from services.derp import frames
from services.derp.backlog import NOTICES
from services.derp.relay import MAX_CONNECTIONS_PER_KEY, Relay
from tests.fakes.derp import Peer, disco_packet, key


@pytest.fixture
def relay() -> Relay:
    return Relay(random=lambda: 0.5)


class FakeForwarder:
    def __init__(self, takes: bool = True) -> None:
        self.takes = takes
        self.seen: list[tuple[bytes, bytes, bytes]] = []

    def forward(self, source: bytes, destination: bytes, packet: bytes) -> bool:
        self.seen.append((source, destination, packet))
        return self.takes


@pytest.mark.statement(121)
def test_a_packet_arrives_with_the_senders_key(relay: Relay) -> None:
    alice, bob = Peer(relay, 1), Peer(relay, 2)
    alice.send(bob, b"hi")
    (frame,) = bob.outlet.taken()
    assert frame == frames.Frame(frames.RECV_PACKET, alice.raw + b"hi")
    assert alice.outlet.taken() == []


def test_a_client_may_send_to_itself(relay: Relay) -> None:
    alice = Peer(relay, 1)
    alice.send(alice, b"echo")
    assert alice.packets() == [b"echo"]


def test_a_slow_client_gets_the_last_32_packets_when_it_takes_more(relay: Relay) -> None:
    alice, bob = Peer(relay, 1), Peer(relay, 2)
    bob.fill()
    for number in range(100):
        alice.send(bob, bytes((number,)))
    bob.drain()
    assert bob.packets() == [bytes((number,)) for number in range(68, 100)]
    assert relay.counters.dropped_queue_head == 68


def test_discovery_packets_have_a_queue_of_their_own_and_go_first(relay: Relay) -> None:
    alice, bob = Peer(relay, 1), Peer(relay, 2)
    bob.fill()
    alice.send(bob, disco_packet(b"look"))
    for number in range(100):
        alice.send(bob, bytes((number,)))
    bob.drain()
    got = bob.packets()
    assert got[0] == disco_packet(b"look")
    assert len(got) == 33


def test_a_slow_client_does_not_delay_others(relay: Relay) -> None:
    alice, bob, carol = Peer(relay, 1), Peer(relay, 2), Peer(relay, 3)
    bob.fill()
    alice.send(bob, b"waits")
    alice.send(carol, b"arrives")
    assert carol.packets() == [b"arrives"]


def test_an_unknown_destination_is_reported_for_discovery_packets_only(relay: Relay) -> None:
    alice = Peer(relay, 1)
    alice.send(key(9).raw, b"data")
    assert alice.gone() == []
    alice.send(key(9).raw, disco_packet())
    assert alice.gone() == [(key(9).raw, frames.GONE_NOT_HERE)]
    assert relay.counters.dropped_unknown_destination == 2


def test_reports_of_unknown_destinations_are_limited_to_three_then_one_a_second(relay: Relay) -> None:
    alice = Peer(relay, 1)
    for _ in range(10):
        alice.send(key(9).raw, disco_packet(), now=5.0)
    assert len(alice.gone()) == 3
    alice.send(key(9).raw, disco_packet(), now=5.9)
    assert alice.gone() == []
    alice.send(key(9).raw, disco_packet(), now=6.1)
    assert len(alice.gone()) == 1


def test_those_who_received_are_told_when_a_peer_disconnects(relay: Relay) -> None:
    alice, bob, carol = Peer(relay, 1), Peer(relay, 2), Peer(relay, 3)
    alice.send(bob, b"hi")
    relay.leave(alice.client)
    assert bob.gone() == [(alice.raw, frames.GONE_DISCONNECTED)]
    assert carol.gone() == []


def test_a_peer_that_only_sent_to_us_is_not_told_of_our_end(relay: Relay) -> None:
    alice, bob = Peer(relay, 1), Peer(relay, 2)
    alice.send(bob, b"hi")
    relay.leave(bob.client)
    assert alice.gone() == []


def test_news_of_a_peer_is_told_once(relay: Relay) -> None:
    alice, bob = Peer(relay, 1), Peer(relay, 2)
    alice.send(bob, b"hi")
    relay.leave(alice.client)
    relay.leave(alice.client)
    again = Peer(relay, 1)
    relay.leave(again.client)
    assert bob.gone() == [(alice.raw, frames.GONE_DISCONNECTED)]


def test_a_slow_client_hears_of_a_lost_peer_later(relay: Relay) -> None:
    alice, bob = Peer(relay, 1), Peer(relay, 2)
    alice.send(bob, b"hi")
    bob.fill()
    relay.leave(alice.client)
    bob.drain()
    assert bob.gone() == [(alice.raw, frames.GONE_DISCONNECTED)]


def test_nothing_is_remembered_of_clients_that_left(relay: Relay) -> None:
    peers = [Peer(relay, number) for number in range(1, 20)]
    for one in peers:
        for other in peers:
            one.send(other, b"x")
    for one in peers:
        relay.leave(one.client)
    assert len(relay) == 0
    assert not relay.active and not relay._receivers and not relay._idle and not relay._watchers


def test_the_newest_connection_of_a_key_is_the_active_one(relay: Relay) -> None:
    alice, old = Peer(relay, 1), Peer(relay, 2)
    new = Peer(relay, 2)
    alice.send(old, b"hi")
    assert (old.packets(), new.packets()) == ([], [b"hi"])


def test_the_connection_that_sent_last_becomes_active(relay: Relay) -> None:
    alice, old, new = Peer(relay, 1), Peer(relay, 2), Peer(relay, 2)
    relay.sent_by(old.client)
    alice.send(new, b"hi")
    assert (old.packets(), new.packets()) == ([b"hi"], [])


def test_when_the_active_connection_ends_the_other_takes_over_and_nobody_is_gone(relay: Relay) -> None:
    alice, old, new = Peer(relay, 1), Peer(relay, 2), Peer(relay, 2)
    new.send(alice, b"hi")
    relay.leave(new.client)
    alice.send(old, b"back")
    assert old.packets() == [b"back"]
    assert alice.gone() == []
    relay.leave(old.client)
    assert alice.gone() == [(old.raw, frames.GONE_DISCONNECTED)]


def test_the_last_of_several_connections_ends_the_peer(relay: Relay) -> None:
    alice, old, new = Peer(relay, 1), Peer(relay, 2), Peer(relay, 2)
    new.send(alice, b"hi")
    alice.outlet.taken()
    relay.leave(old.client)
    relay.leave(new.client)
    assert alice.gone() == [(new.raw, frames.GONE_DISCONNECTED)]


def test_a_key_has_a_bounded_number_of_connections(relay: Relay) -> None:
    peers = [Peer(relay, 1) for _ in range(MAX_CONNECTIONS_PER_KEY + 1)]
    assert peers[0].outlet.closed
    assert not any(peer.outlet.closed for peer in peers[1:])


@pytest.mark.statement(123)
def test_a_ping_is_answered_with_its_bytes(relay: Relay) -> None:
    alice = Peer(relay, 1)
    relay.ping(alice.client, b"pingping")
    assert alice.outlet.taken() == [frames.Frame(frames.PONG, b"pingping")]


def test_a_client_that_does_not_read_gets_one_pong(relay: Relay) -> None:
    alice = Peer(relay, 1)
    alice.fill()
    for number in range(50):
        relay.ping(alice.client, bytes((number,)) * 8)
    alice.drain()
    assert alice.outlet.taken() == [frames.Frame(frames.PONG, bytes(8))]
    assert relay.counters.pings_dropped == 49


@pytest.mark.statement(120)
def test_a_keep_alive_is_sent_within_65_seconds_again_and_again(relay: Relay) -> None:
    alice = Peer(relay, 1)
    sent = []
    for now in range(400):
        relay.tick(float(now))
        sent += [now] * len(alice.outlet.taken(frames.KEEP_ALIVE))
    gaps = [after - before for before, after in zip([0, *sent], sent, strict=False)]
    assert len(sent) == 6
    assert all(60 <= gap <= 65 for gap in gaps)


def test_no_keep_alive_goes_to_a_client_that_left(relay: Relay) -> None:
    alice = Peer(relay, 1)
    relay.leave(alice.client)
    relay.tick(1000.0)
    assert alice.outlet.taken() == []


def test_homes_are_counted(relay: Relay) -> None:
    alice = Peer(relay, 1)
    relay.note_preferred(alice.client, True)
    relay.note_preferred(alice.client, True)
    assert relay.counters.homes == 1
    relay.leave(alice.client)
    assert relay.counters.homes == 0


def test_a_watcher_is_told_of_all_keys_and_then_of_changes(relay: Relay) -> None:
    alice = Peer(relay, 1)
    watcher = Peer(relay, 8, mesh=True)
    relay.watch(watcher.client)
    assert {frame.payload[:32] for frame in watcher.outlet.taken(frames.PEER_PRESENT)} == {alice.raw, watcher.raw}
    bob = Peer(relay, 2)
    assert watcher.outlet.taken() == [
        frames.Frame(frames.PEER_PRESENT, frames.peer_present(bob.raw, ("192.0.2.1", 2), 1)[5:])
    ]
    relay.leave(bob.client)
    assert watcher.gone() == [(bob.raw, frames.GONE_DISCONNECTED)]


def test_a_watcher_that_is_slow_gets_the_last_news_of_each_peer(relay: Relay) -> None:
    watcher = Peer(relay, 8, mesh=True)
    relay.watch(watcher.client)
    watcher.outlet.taken()
    watcher.fill()
    for _ in range(2000):
        relay.leave(Peer(relay, 2).client)
    watcher.drain()
    assert watcher.gone() == [(key(2).raw, frames.GONE_DISCONNECTED)]
    assert not watcher.outlet.closed


def test_a_watcher_that_falls_too_far_behind_is_disconnected(relay: Relay) -> None:
    watcher = Peer(relay, 8, mesh=True)
    relay.watch(watcher.client)
    watcher.fill()
    for number in range(NOTICES + 1):
        Peer(relay, 1000 + number)
    assert watcher.outlet.closed


def test_packets_for_keys_elsewhere_are_handed_over(relay: Relay) -> None:
    alice, other = Peer(relay, 1), FakeForwarder()
    relay.add_forwarder(key(9).raw, other)
    alice.send(key(9).raw, b"far")
    assert other.seen == [(alice.raw, key(9).raw, b"far")]
    assert relay.counters.packets_forwarded_out == 1


def test_a_client_here_is_preferred_to_the_same_key_elsewhere(relay: Relay) -> None:
    alice, bob, other = Peer(relay, 1), Peer(relay, 2), FakeForwarder()
    relay.add_forwarder(bob.raw, other)
    alice.send(bob, b"near")
    assert (bob.packets(), other.seen) == ([b"near"], [])


def test_the_relay_that_said_so_last_is_used(relay: Relay) -> None:
    alice, first, second = Peer(relay, 1), FakeForwarder(), FakeForwarder()
    relay.add_forwarder(key(9).raw, first)
    relay.add_forwarder(key(9).raw, second)
    alice.send(key(9).raw, b"1")
    relay.add_forwarder(key(9).raw, first)
    alice.send(key(9).raw, b"2")
    relay.remove_forwarder(key(9).raw, first)
    alice.send(key(9).raw, b"3")
    assert [packet for _, _, packet in first.seen] == [b"2"]
    assert [packet for _, _, packet in second.seen] == [b"1", b"3"]


def test_a_packet_handed_over_reaches_its_client_and_is_never_handed_on(relay: Relay) -> None:
    bob, other = Peer(relay, 2), FakeForwarder()
    relay.add_forwarder(key(9).raw, other)
    relay.forwarded(key(1).raw, bob.raw, b"in")
    relay.forwarded(key(1).raw, key(9).raw, b"circle")
    assert bob.packets() == [b"in"]
    assert other.seen == []


def test_a_peer_lost_elsewhere_is_reported_to_those_who_heard_it(relay: Relay) -> None:
    bob, other = Peer(relay, 2), FakeForwarder()
    relay.add_forwarder(key(9).raw, other)
    relay.forwarded(key(9).raw, bob.raw, b"in")
    bob.outlet.taken()
    relay.remove_forwarder(key(9).raw, other)
    assert bob.gone() == [(key(9).raw, frames.GONE_DISCONNECTED)]


def test_a_peer_that_moved_to_another_relay_of_the_region_is_not_gone(relay: Relay) -> None:
    alice, bob = Peer(relay, 1), Peer(relay, 2)
    alice.send(bob, b"hi")
    relay.add_forwarder(alice.raw, FakeForwarder())
    relay.leave(alice.client)
    assert bob.gone() == []


def test_a_full_mesh_link_counts_its_drops(relay: Relay) -> None:
    alice = Peer(relay, 1)
    relay.add_forwarder(key(9).raw, FakeForwarder(takes=False))
    alice.send(key(9).raw, b"far")
    assert relay.counters.dropped_mesh == 1


def test_close_peer_ends_every_connection_of_a_key(relay: Relay) -> None:
    old, new, other = Peer(relay, 1), Peer(relay, 1), Peer(relay, 2)
    relay.close_peer(old.raw)
    assert old.outlet.closed and new.outlet.closed and not other.outlet.closed


def test_at_the_end_clients_are_told_when_to_come_back(relay: Relay) -> None:
    alice, bob = Peer(relay, 1), Peer(relay, 2)
    bob.fill()
    relay.announce_restart(2000, 30_000)
    assert alice.outlet.taken() == [frames.Frame(frames.RESTARTING, frames.restarting(1000, 30_000)[5:])]
    assert bob.outlet.frames == []
