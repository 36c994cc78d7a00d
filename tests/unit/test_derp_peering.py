"""The client's side of a mesh link, and the small parts around it: targets, the lobby, WebSocket messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, TextMessage

from services.derp import frames, handshake
from services.derp.frames import FrameError
from services.derp.handshake import LoginError
from services.derp.lobby import Lobby
from services.derp.mesh import MeshTarget
from services.derp.peering import MESH_DEPTH, Peering
from services.derp.relay import Relay
from services.derp.session import ProtocolError, RelayKeys
from services.derp.websocket import MessageStream, WebSocketError, binary_message
from tests.fakes.derp import FakeOutlet, Peer, key, private

MESH = bytes(range(32))
OURS, THEIRS = private(1), private(2)
US, THEM = handshake.public_key(OURS), handshake.public_key(THEIRS)
PRESENT = frames.peer_present(key(9).raw, ("192.0.2.1", 1), 1)


class Link:
    """A link, and the words of the other relay."""

    def __init__(self, wanted: bool = True) -> None:
        self.relay = Relay(random=lambda: 0.0)
        self.outlet = FakeOutlet()
        identity = RelayKeys(OURS, US, MESH)
        self.peering = Peering(self.relay, identity, self.outlet, nonce=bytes, wanted=lambda _: wanted)

    def established(self) -> Link:
        self.peering.receive(handshake.encode_server_key(THEM))
        self.peering.receive(handshake.encode_server_info(THEIRS, US, bytes(24)))
        self.outlet.taken()
        return self


def test_a_link_logs_in_with_the_mesh_key_and_watches() -> None:
    link = Link()
    link.peering.receive(handshake.encode_server_key(THEM))
    (login,) = link.outlet.taken()
    key_seen, info = handshake.open_client_info(login.payload, THEIRS)
    assert (key_seen, info.mesh_key) == (US, MESH)
    link.peering.receive(handshake.encode_server_info(THEIRS, US, bytes(24)))
    assert link.outlet.taken() == [frames.Frame(frames.WATCH_CONNS, b"")]
    assert link.peering.established


def test_a_link_that_is_not_wanted_says_nothing_of_the_mesh_key() -> None:
    link = Link(wanted=False)
    with pytest.raises(ProtocolError):
        link.peering.receive(handshake.encode_server_key(THEM))
    assert link.outlet.taken() == []


def test_packets_for_the_keys_of_the_other_relay_go_there() -> None:
    link = Link().established()
    alice = Peer(link.relay, 1)
    link.peering.receive(PRESENT)
    alice.send(key(9).raw, b"far")
    assert link.outlet.taken() == [frames.Frame(frames.FORWARD_PACKET, alice.raw + key(9).raw + b"far")]
    link.peering.receive(frames.peer_gone(key(9).raw, 0))
    alice.send(key(9).raw, b"lost")
    assert link.outlet.taken() == []


def test_our_own_key_at_the_other_relay_is_no_client() -> None:
    link = Link().established()
    link.peering.receive(frames.peer_present(US.raw, ("", 0), frames.PRESENT_MESH))
    assert link.relay.remote_keys == 0


def test_when_the_link_ends_its_keys_are_forgotten() -> None:
    link = Link().established()
    link.peering.receive(PRESENT)
    link.peering.end()
    assert link.relay.remote_keys == 0
    assert not link.peering.forward(key(1).raw, key(9).raw, b"x")


def test_a_slow_link_keeps_the_last_packets() -> None:
    link = Link().established()
    link.outlet.writable = False
    taken = [link.peering.forward(key(1).raw, key(9).raw, b"%d" % n) for n in range(MESH_DEPTH + 5)]
    assert taken.count(False) == 5
    link.outlet.writable = True
    link.peering.flush()
    assert [frame.payload[64:] for frame in link.outlet.taken()] == [b"%d" % n for n in range(5, MESH_DEPTH + 5)]


def test_a_ping_of_the_other_relay_is_answered() -> None:
    link = Link().established()
    link.peering.receive(frames.frame(frames.PING, b"pingping") + frames.KEEP_ALIVE_FRAME)
    assert link.outlet.taken() == [frames.Frame(frames.PONG, b"pingping")]


@pytest.mark.parametrize(
    "words",
    [
        frames.KEEP_ALIVE_FRAME,
        frames.frame(frames.SERVER_KEY, bytes(40)),
        handshake.encode_server_key(THEM) + frames.KEEP_ALIVE_FRAME,
        handshake.encode_server_key(THEM) + frames.frame(frames.SERVER_INFO, bytes(60)),
        frames.header(frames.SERVER_KEY, 2000),
    ],
)
def test_a_relay_that_does_not_log_us_in_ends_the_link(words: bytes) -> None:
    with pytest.raises((ProtocolError, LoginError, FrameError)):
        Link().peering.receive(words)


def test_a_relay_that_restarts_ends_the_link() -> None:
    with pytest.raises(ProtocolError):
        Link().established().peering.receive(frames.restarting(0, 0))


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://b.example.com", MeshTarget("b.example.com", 443, True)),
        ("b.example.com:8443", MeshTarget("b.example.com", 8443, True)),
        ("http://10.0.0.2:3340", MeshTarget("10.0.0.2", 3340, False)),
        ("http://derp", MeshTarget("derp", 3340, False)),
        ("https://[2001:db8::1]:8443/derp", MeshTarget("2001:db8::1", 8443, True)),
        (f"https://b:1#sha256-raw:{'aB' * 32}", MeshTarget("b", 1, True, "sha256-raw:" + "ab" * 32)),
    ],
)
def test_mesh_targets_are_read(url: str, target: MeshTarget) -> None:
    assert MeshTarget.parse(url) == target


@pytest.mark.parametrize(
    "url",
    ["", "ftp://x", "https://", "http://b:1#sha256-raw:" + "ab" * 32, "https://b#sha256-raw:ab", "https://b:99999"],
)
def test_other_mesh_targets_are_refused(url: str) -> None:
    with pytest.raises(ValueError):
        MeshTarget.parse(url)


def test_a_full_lobby_sends_away_whoever_waits_longest() -> None:
    lobby: Lobby[str] = Lobby(2, 10.0)
    assert [lobby.enter(name, 0.0) for name in "abc"] == [None, None, "a"]
    lobby.leave("b")
    assert lobby.enter("d", 1.0) is None
    assert len(lobby) == 2


def test_the_lobby_tells_whose_time_is_over() -> None:
    lobby: Lobby[str] = Lobby(9, 10.0)
    for moment, name in enumerate("abc"):
        lobby.enter(name, float(moment))
    lobby.enter("a", 5.0)
    assert lobby.expired(11.5) == ["b"]
    assert lobby.expired(15.0) == ["c", "a"]
    assert lobby.expired(99.0) == []


def browser() -> Connection:
    return Connection(ConnectionType.CLIENT)


@given(st.lists(st.binary(max_size=200), max_size=8), st.integers(1, 50), st.booleans())
def test_messages_in_any_slices_are_one_stream(parts: list[bytes], step: int, fragments: bool) -> None:
    client, server = browser(), MessageStream()
    wire = b"".join(client.send(BytesMessage(part, message_finished=not fragments)) for part in parts)
    got = b"".join(server.receive(wire[at : at + step]) for at in range(0, len(wire), step))
    assert got == b"".join(parts)


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 200_000])
def test_our_messages_are_read_by_another_implementation(size: int) -> None:
    client = browser()
    client.receive_data(binary_message(bytes(size)))
    events = [event for event in client.events() if isinstance(event, Message)]
    assert b"".join(bytes(event.data) for event in events) == bytes(size)


def test_a_ping_of_a_browser_gets_its_pong() -> None:
    client, server = browser(), MessageStream()
    assert server.receive(client.send(Ping(b"x"))) == b""
    client.receive_data(server.pongs)
    assert [type(event).__name__ for event in client.events()] == ["Pong"]


@pytest.mark.parametrize(
    "wire",
    [
        browser().send(TextMessage("no")),
        browser().send(CloseConnection(1000)),
        b"\x82\x05hello",
        b"\xff\xff\xff\xff",
        b"\x83\x80\x00\x00\x00\x00",
        b"\x89\xff\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x00\x00",
    ],
    ids=[
        "text",
        "close",
        "unmasked",
        "reserved bits",
        "reserved opcode",
        "long ping",
    ],  # masks are random, names are not
)
def test_other_messages_end_the_connection(wire: bytes) -> None:
    with pytest.raises(WebSocketError):
        MessageStream().receive(wire)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    stream = MessageStream()
    try:
        stream.receive(data)
    except WebSocketError as error:
        assert str(error)
