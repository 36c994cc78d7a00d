"""TLS without sockets: what a peer sends is split anywhere, broken, or rude; the peer is OpenSSL's client."""

import asyncio
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from services.shared.net import tls
from services.shared.net.tls import RECORD, Terminator, TlsConnection, server_context
from tests.fakes.certificates import any_certificate, issue


class Socket(asyncio.Transport):
    """A transport that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1)})
        self.sent: list[bytes] = []
        self.ended = self.closed = self.aborted = False
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.ended and not self.closed
        self.sent.append(bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        for data in list_of_data:
            self.write(data)

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def take(self) -> bytes:
        """All that was sent since the last call."""
        sent, self.sent = b"".join(self.sent), []
        return sent


class Heard(asyncio.Protocol):
    """Remembers what it was told, and may do something about it."""

    def __init__(self, then: Callable[[bytes], None] = lambda _data: None) -> None:
        self.data = b""
        self.events: list[str] = []
        self.lost: list[Exception | None] = []
        self.then = then

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.then(data)

    def eof_received(self) -> None:
        self.events.append("eof")

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)


class Pair:
    """A connection of ours and its peer, joined by hand."""

    def __init__(self, shared: Terminator, client: ssl.SSLContext | None = None, step: int = 1 << 20) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = (client or any_certificate()).wrap_bio(self.incoming, self.outgoing)
        self.shared, self.socket, self.heard, self.step = shared, Socket(), Heard(), step
        self.connection = TlsConnection(shared, self.heard)
        self.connection.connection_made(self.socket)

    def deliver(self, data: bytes) -> None:
        """Bytes reach our side, cut small; nothing of them may stay in what all connections share."""
        for start in range(0, len(data), self.step):
            self.connection.data_received(data[start : start + self.step])
            assert not self.shared.incoming.pending and not self.shared.outgoing.pending

    def shake_hands(self) -> "Pair":
        for _ in range(4):
            try:
                self.client.do_handshake()
            except ssl.SSLWantReadError:
                self.deliver(self.outgoing.read())
                self.incoming.write(self.socket.take())
        self.deliver(self.outgoing.read())
        return self

    def say(self, data: bytes) -> None:
        for start in range(0, len(data), RECORD):
            self.client.write(data[start : start + RECORD])
        self.deliver(self.outgoing.read())

    def hear(self) -> bytes:
        """What the peer reads until it would have to wait, or to the end."""
        self.incoming.write(self.socket.take())
        found = []
        try:
            while part := self.client.read(1 << 20):
                found.append(part)
        except ssl.SSLWantReadError:
            pass
        return b"".join(found)

    def client_closes(self) -> None:
        with pytest.raises(ssl.SSLWantReadError):
            self.client.unwrap()
        self.deliver(self.outgoing.read())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    issue("localhost", "127.0.0.1").write(folder)
    return folder


@pytest.fixture
def failures() -> list[str]:
    return []


@pytest.fixture
def shared(certificate: Path, failures: list[str]) -> Terminator:
    context = server_context(certificate / "server.pem", certificate / "server.key")
    return Terminator(context, lambda _connection, reason: failures.append(reason))


def only(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = any_certificate()
    context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
async def test_it_does_not_matter_where_the_bytes_are_split(shared, version, step):
    pair = Pair(shared, only(version), step).shake_hands()
    pair.say(b"hello" * 10)
    pair.connection.write(b"answer" * 7000)
    pair.connection.writelines([b"!", bytearray(b"?")])

    assert pair.heard.data == b"hello" * 10
    assert pair.hear() == b"answer" * 7000 + b"!?"


async def test_connections_that_act_in_the_midst_of_each_other_do_not_mix(shared):
    one, two, three = (Pair(shared).shake_hands() for _ in range(3))
    two.client.write(b"of two")
    half = two.outgoing.read()
    two.deliver(half[:9])

    def meddle(_data: bytes) -> None:
        two.connection.write(b"for two")
        three.connection.close()

    one.heard.then = meddle
    one.say(b"of one" * 5000)
    two.deliver(half[9:])
    one.connection.write(b"for one")

    assert one.heard.data == b"of one" * 5000 and two.heard.data == b"of two" and three.heard.data == b""
    assert one.hear() == b"for one" and two.hear() == b"for two" and three.hear() == b""
    assert three.client.read(1) == b"" and not one.connection.is_closing()


async def test_the_end_is_said_and_the_peers_awaited(shared):
    pair = Pair(shared).shake_hands()
    pair.connection.pause_reading()
    pair.connection.write(b"last words")
    pair.connection.close()
    pair.connection.write(b"too late")

    assert pair.hear() == b"last words" and pair.client.read(1) == b"", "close_notify, not a torn stream"
    assert pair.socket.reading and not pair.socket.ended and not pair.socket.closed
    pair.say(b"what was under way")
    assert not pair.socket.closed
    pair.client.unwrap()
    pair.deliver(pair.outgoing.read())
    assert pair.socket.closed
    pair.connection.eof_received()
    pair.connection.connection_lost(None)
    assert pair.heard.lost == [None] and pair.heard.data == b""


@pytest.mark.parametrize("rude", [b"", b"\x17\x03\x03\x00\x20" + bytes(32)], ids=["it hangs up", "it sends rubbish"])
async def test_a_peer_need_not_say_its_end(shared, failures, rude):
    pair = Pair(shared).shake_hands()
    pair.connection.close()
    if rude:
        pair.deliver(rude)
    else:
        pair.connection.eof_received()
    assert pair.socket.closed and failures == [] and pair.heard.events == ["made"]


async def test_a_peer_that_never_hangs_up_is_cut_off(shared, monkeypatch):
    monkeypatch.setattr(tls, "LINGER", 0.01)
    pair = Pair(shared).shake_hands()
    pair.connection.close()
    async with asyncio.timeout(5):
        while not pair.socket.aborted:  # noqa: ASYNC110
            await asyncio.sleep(0.002)


async def test_when_the_peer_says_its_end_what_came_before_is_heard_and_ours_is_said(shared):
    pair = Pair(shared).shake_hands()
    pair.client.write(b"last words")
    pair.client_closes()

    assert pair.heard.data == b"last words" and pair.heard.events == ["made", "eof"]
    pair.incoming.write(pair.socket.take())
    pair.client.unwrap()
    assert pair.socket.closed


async def test_a_stream_that_is_torn_off_ends_the_connection(shared):
    pair = Pair(shared).shake_hands()
    pair.client.write(b"half of this")
    pair.deliver(pair.outgoing.read()[:-4])
    pair.connection.eof_received()
    pair.connection.connection_lost(None)

    assert pair.heard.data == b"" and pair.heard.events == ["made", "eof"] and pair.heard.lost == [None]


@pytest.mark.parametrize(
    "start",
    [
        b"\x00" * 6,
        b"SSH-2.0-OpenSSH_9\r\n",
        b"\x16\x03\x01\x00\x05hello",
        b"\x16\x03\x01\xff\xffhello",
        b"\x17\x03\x03\x00\x05hello",
        b"\x80\x2e\x01\x00\x02" + b"\x00" * 60,
        b"CONNECT ctl:443 HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x00\x2a\x01\x00\x00\x26\x03\x03" + b"\x00" * 36,
    ],
)
async def test_what_is_no_tls_ends_the_connection_and_nobody_else(shared, failures, start):
    other = Pair(shared).shake_hands()
    pair = Pair(shared)
    pair.deliver(start)

    assert len(failures) == 1 and pair.heard.data == b"" and pair.socket.ended
    assert len(pair.socket.take()) in (0, 7), "an alert, or nothing"
    pair.connection.eof_received()
    pair.connection.connection_lost(None)
    assert isinstance(pair.heard.lost[0], ssl.SSLError) and pair.heard.events == ["made"]
    other.say(b"undisturbed")
    assert other.heard.data == b"undisturbed"


async def test_plain_http_is_told_so_in_http(shared, failures):
    pair = Pair(shared)
    pair.deliver(b"GET / HTTP/1.1\r\nHost: ctl\r\n\r\n")

    head, body = pair.socket.take().split(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ") and b"content-length: %d" % len(body) in head
    assert failures == ["HTTP_REQUEST"] and pair.socket.ended


async def test_a_client_without_a_common_version_is_told_by_an_alert(shared, failures):
    shared.context.minimum_version = ssl.TLSVersion.TLSv1_3
    pair = Pair(shared, only(ssl.TLSVersion.TLSv1_2))
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        pair.shake_hands()
    assert failures == ["UNSUPPORTED_PROTOCOL"]


@pytest.mark.parametrize("place", [0, 1, 2, 5, -1])
async def test_a_flipped_bit_costs_the_connection_but_not_what_came_before(shared, failures, place):
    pair = Pair(shared).shake_hands()
    pair.client.write(b"good")
    good = pair.outgoing.read()
    pair.client.write(b"evil")
    evil = bytearray(pair.outgoing.read())
    evil[place] ^= 0x40
    pair.deliver(good + bytes(evil) + b"\x17\x03\x03\x7f\xff" * 8)

    assert pair.heard.data == b"good" and len(failures) == 1 and pair.socket.ended
    with pytest.raises(ssl.SSLError, match="ALERT"):
        pair.hear()


async def test_a_large_message_leaves_in_pieces_and_whole(shared):
    pair = Pair(shared).shake_hands()
    message = bytes(range(256)) * 5000
    pair.connection.write(message)

    assert len(pair.socket.sent) > 1 and max(map(len, pair.socket.sent)) < 150_000 and not shared.outgoing.pending
    assert pair.hear() == message


async def test_the_protocol_hears_of_a_full_socket_and_may_stop_reading(shared):
    pair = Pair(shared).shake_hands()
    pair.connection.pause_writing()
    pair.connection.resume_writing()
    pair.connection.pause_reading()
    assert not pair.connection.is_reading()
    pair.connection.resume_reading()
    assert pair.connection.is_reading() and pair.heard.events == ["made", "pause", "resume"]


async def test_before_the_handshake_there_is_nothing_to_say_and_no_end_to_await(shared):
    pair = Pair(shared)
    with pytest.raises(RuntimeError, match="before the tls handshake"):
        pair.connection.write(b"banner")
    pair.connection.close()
    assert pair.socket.aborted and pair.socket.sent == []


async def test_it_tells_what_asyncios_transport_tells(shared):
    pair = Pair(shared, only(ssl.TLSVersion.TLSv1_3)).shake_hands()
    told: Any = pair.connection.get_extra_info
    assert told("sslcontext") is shared.context and told("ssl_object").version() == "TLSv1.3"
    assert told("peername") == ("192.0.2.1", 1) and told("cipher")[1] == "TLSv1.3" and told("nothing", 1) == 1
    assert pair.connection.get_protocol() is pair.heard and not pair.connection.can_write_eof()
    pair.connection.connection_lost(ConnectionResetError())
    assert told("peername") is None and told("ssl_object") is None and pair.connection.get_write_buffer_size() == 0
    pair.connection.write(b"nobody is there")
    pair.connection.close()
    pair.connection.abort()
    assert isinstance(pair.heard.lost[0], ConnectionResetError)


async def test_no_tickets_are_sent(shared):
    pair = Pair(shared, only(ssl.TLSVersion.TLSv1_3)).shake_hands()
    assert pair.hear() == b"" and pair.client.session is not None and not pair.client.session.has_ticket
