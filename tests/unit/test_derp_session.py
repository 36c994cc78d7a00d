"""One DERP connection from its first byte: login, admission, frames, and the end of those who misbehave."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.derp import frames, handshake
from services.derp.frames import FrameError
from services.derp.handshake import LoginError
from services.derp.relay import Relay
from services.derp.session import ProtocolError, RelayKeys, RelaySession, Stage
from services.shared.keys import NodeKey, PrivateKey
from tests.fakes.derp import VECTORS, FakeOutlet, disco_packet, key, login_frame, private

SERVER = PrivateKey(VECTORS["server_private"])
MESH = bytes(range(32))
IDENTITY = RelayKeys(SERVER, NodeKey(VECTORS["server_public"]), MESH)


class Line:
    """A client with keys of its own on one session."""

    def __init__(self, relay: Relay, number: int, *, mesh: bool = False, log_in: bool = True) -> None:
        self.relay = relay
        self.private = private(number)
        self.key = handshake.public_key(self.private)
        self.outlet = FakeOutlet()
        self.session = RelaySession(relay, IDENTITY, self.outlet, ("192.0.2.1", number), nonce=bytes)
        self.session.start()
        self.login = login_frame(self.private, IDENTITY.public, MESH if mesh else None)
        if log_in:
            self.feed(self.login)
            self.session.admit(0.0)
            self.outlet.taken()

    def feed(self, data: bytes, now: float = 0.0) -> object:
        self.session.reader.receive(data)
        return self.session.process(now)

    def received(self) -> list[tuple[bytes, bytes]]:
        return [(frame.payload[:32], frame.payload[32:]) for frame in self.outlet.taken(frames.RECV_PACKET)]


@pytest.fixture
def relay() -> Relay:
    return Relay(random=lambda: 0.0)


@pytest.mark.statement(118)
def test_the_server_key_comes_first_and_the_server_info_second(relay: Relay) -> None:
    outlet = FakeOutlet()
    session = RelaySession(relay, IDENTITY, outlet, ("", 0), nonce=lambda size: bytes(range(0x18, 0x18 + size)))
    session.start()
    assert [frame.encode() for frame in outlet.taken()] == [VECTORS["server_key"]]
    session.reader.receive(VECTORS["client_info"])
    request = session.process(0.0)
    assert request is not None and request.key == NodeKey(VECTORS["client_public"])
    assert outlet.taken() == []
    session.admit(0.0)
    assert [frame.encode() for frame in outlet.taken()] == [VECTORS["server_info"]]


@pytest.mark.parametrize("at", range(len(VECTORS["client_info"]) + len(VECTORS["ping"])))
def test_a_login_cut_anywhere_is_understood(relay: Relay, at: int) -> None:
    line = Line(relay, 1, log_in=False)
    stream = VECTORS["client_info"] + VECTORS["ping"]
    asked = [line.feed(stream[:at]), line.feed(stream[at:])]
    line.session.admit(0.0)
    assert len([request for request in asked if request]) == 1
    assert [frame.kind for frame in line.outlet.taken()] == [frames.SERVER_KEY, frames.SERVER_INFO, frames.PONG]


def test_nothing_is_relayed_before_the_client_is_let_in(relay: Relay) -> None:
    bob, alice = Line(relay, 2), Line(relay, 1, log_in=False)
    alice.feed(alice.login + frames.send_packet(bob.key.raw, b"early"))
    alice.feed(frames.send_packet(bob.key.raw, b"bird"))
    assert (bob.received(), alice.session.stage, len(relay)) == ([], Stage.ADMISSION, 1)
    alice.session.admit(0.0)
    assert bob.received() == [(alice.key.raw, b"early"), (alice.key.raw, b"bird")]


def test_a_client_that_sends_without_end_before_it_is_let_in_is_disconnected(relay: Relay) -> None:
    alice = Line(relay, 1, log_in=False)
    alice.feed(alice.login)
    flood = frames.send_packet(key(2).raw, bytes(60_000))
    with pytest.raises(ProtocolError):
        for _ in range(4):
            alice.feed(flood)


def test_a_login_that_does_not_open_ends_the_connection(relay: Relay) -> None:
    alice = Line(relay, 1, log_in=False)
    with pytest.raises(LoginError):
        alice.feed(alice.login[:-1] + bytes((alice.login[-1] ^ 1,)))
    assert len(relay) == 0


@pytest.mark.parametrize("name", ["ping", "send_packet", "keep_alive", "server_key"])
def test_anything_but_a_login_first_ends_the_connection(relay: Relay, name: str) -> None:
    with pytest.raises(FrameError):
        Line(relay, 1, log_in=False).feed(VECTORS[name])


@pytest.mark.statement(121)
def test_packets_in_one_read_reach_their_clients_in_order(relay: Relay) -> None:
    alice, bob, carol = Line(relay, 1), Line(relay, 2), Line(relay, 3)
    to = [bob, bob, carol, bob, carol, carol, carol, bob]
    alice.feed(b"".join(frames.send_packet(line.key.raw, bytes((n,)) * n) for n, line in enumerate(to)))
    for line in (bob, carol):
        assert line.received() == [(alice.key.raw, bytes((n,)) * n) for n, target in enumerate(to) if target is line]
    assert relay.counters.packets_received == relay.counters.packets_sent == 8
    assert relay.counters.bytes_received == sum(range(8))


@given(st.lists(st.tuples(st.sampled_from([2, 3, 9]), st.binary(max_size=60), st.booleans()), max_size=30), st.data())
def test_any_mixture_of_frames_in_any_slices_is_relayed_in_order(
    plan: list[tuple[int, bytes, bool]], data: st.DataObject
) -> None:
    relay = Relay(random=lambda: 0.0)
    alice, bob, carol = Line(relay, 1), Line(relay, 2), Line(relay, 3)
    keys = {2: bob.key.raw, 3: carol.key.raw, 9: key(9).raw}
    stream = b"".join(
        (VECTORS["ping"] if ping else b"") + frames.send_packet(keys[number], packet) for number, packet, ping in plan
    )
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        alice.feed(stream[:size])
        stream = stream[size:]
    assert bob.received() == [(alice.key.raw, packet) for number, packet, _ in plan if number == 2]
    assert carol.received() == [(alice.key.raw, packet) for number, packet, _ in plan if number == 3]
    assert len(alice.outlet.taken(frames.PONG)) == sum(ping for *_, ping in plan)


def test_a_client_that_becomes_full_amid_a_read_keeps_the_last_packets(relay: Relay) -> None:
    alice, bob = Line(relay, 1), Line(relay, 2)
    bob.outlet.writable = False
    alice.feed(b"".join(frames.send_packet(bob.key.raw, bytes((n,))) for n in range(40)))
    bob.outlet.writable = True
    assert bob.session.client is not None
    bob.session.client.flush()
    assert [packet for _, packet in bob.received()] == [bytes((n,)) for n in range(8, 40)]


def test_of_two_connections_of_one_key_the_one_that_sends_is_answered(relay: Relay) -> None:
    bob, old, new = Line(relay, 2), Line(relay, 1), Line(relay, 1)
    bob.feed(frames.send_packet(old.key.raw, b"a"))
    old.feed(frames.send_packet(bob.key.raw, b"it is me"))
    bob.feed(frames.send_packet(old.key.raw, b"b"))
    assert ([p for _, p in new.received()], [p for _, p in old.received()]) == ([b"a"], [b"b"])


@pytest.mark.statement(123)
def test_a_long_ping_is_answered_with_its_first_eight_bytes(relay: Relay) -> None:
    alice = Line(relay, 1)
    alice.feed(frames.frame(frames.PING, b"12345678" + bytes(992)))
    assert alice.outlet.taken() == [frames.Frame(frames.PONG, b"12345678")]


def test_note_preferred_is_counted_and_nothing_but_0_and_1_is_taken(relay: Relay) -> None:
    alice = Line(relay, 1)
    alice.feed(frames.note_preferred(True))
    assert relay.counters.homes == 1
    alice.feed(frames.note_preferred(False))
    assert relay.counters.homes == 0
    with pytest.raises(ProtocolError):
        alice.feed(frames.frame(frames.NOTE_PREFERRED, b"\x02"))


MESH_FRAMES = [
    frames.WATCH_CONNS_FRAME,
    frames.frame(frames.CLOSE_PEER, key(2).raw),
    frames.forward_packet(key(1).raw, key(2).raw, b"x"),
]


@pytest.mark.statement(124)
@pytest.mark.parametrize("frame", MESH_FRAMES)
def test_a_client_that_uses_frames_of_the_mesh_is_disconnected(relay: Relay, frame: bytes) -> None:
    with pytest.raises(ProtocolError):
        Line(relay, 1).feed(frame)


def test_a_wrong_mesh_key_makes_an_ordinary_client(relay: Relay) -> None:
    alice = Line(relay, 1, log_in=False)
    request = alice.feed(login_frame(alice.private, IDENTITY.public, bytes(32)))
    assert request is not None and alice.session._login is not None and not alice.session._login.mesh


def test_a_mesh_peer_watches_forwards_and_closes(relay: Relay) -> None:
    bob, mesh = Line(relay, 2), Line(relay, 7, mesh=True)
    mesh.feed(frames.WATCH_CONNS_FRAME)
    assert {frame.payload[:32] for frame in mesh.outlet.taken(frames.PEER_PRESENT)} == {bob.key.raw, mesh.key.raw}
    mesh.feed(frames.forward_packet(key(9).raw, bob.key.raw, b"far"))
    assert bob.received() == [(key(9).raw, b"far")]
    mesh.feed(frames.frame(frames.CLOSE_PEER, bob.key.raw))
    assert bob.outlet.closed


def test_presence_says_what_kind_of_client_it_is(relay: Relay) -> None:
    outlet = FakeOutlet()
    session = RelaySession(relay, IDENTITY, outlet, ("192.0.2.9", 7), nonce=bytes, not_ideal=True)
    prober = handshake.ClientInfo(is_prober=True)
    session.reader.receive(handshake.encode_client_info(prober, private(3), IDENTITY.public, bytes(24)))
    session.process(0.0)
    session.admit(0.0)
    assert session.client is not None
    assert session.client.flags == frames.PRESENT_REGULAR | frames.PRESENT_PROBER | frames.PRESENT_NOT_IDEAL


@pytest.mark.statement(125)
def test_a_packet_above_64_kib_ends_the_connection_and_nothing_arrives(relay: Relay) -> None:
    alice, bob = Line(relay, 1), Line(relay, 2)
    with pytest.raises(FrameError):
        alice.feed(frames.send_packet(bob.key.raw, bytes(frames.MAX_PACKET + 1)))
    assert bob.received() == []


def test_frames_of_the_server_sent_by_a_client_are_skipped(relay: Relay) -> None:
    alice = Line(relay, 1)
    alice.feed(VECTORS["recv_packet"] + VECTORS["keep_alive"] + VECTORS["client_info"] + VECTORS["ping"])
    assert [frame.kind for frame in alice.outlet.taken()] == [frames.PONG]


def test_an_end_before_the_login_leaves_nothing(relay: Relay) -> None:
    alice = Line(relay, 1, log_in=False)
    alice.feed(alice.login)
    alice.session.end()
    assert len(relay) == 0


@given(st.binary(max_size=300))
def test_any_bytes_after_the_login_are_taken_or_refused(data: bytes) -> None:
    relay = Relay(random=lambda: 0.0)
    alice = Line(relay, 1)
    try:
        alice.feed(data)
    except (FrameError, ProtocolError) as error:
        assert str(error)
    alice.session.end()
    assert len(relay) == 0


def test_a_discovery_packet_to_nobody_is_answered(relay: Relay) -> None:
    alice = Line(relay, 1)
    alice.feed(frames.send_packet(key(9).raw, disco_packet()))
    assert [frame.payload for frame in alice.outlet.taken(frames.PEER_GONE)] == [key(9).raw + b"\x01"]
