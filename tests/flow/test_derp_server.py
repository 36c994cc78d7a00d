"""A whole relay on loopback: HTTP, TLS with a pin, fast start, WebSocket, bounds, the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvloop
import websockets
from cryptography import x509
from cryptography.x509.oid import NameOID

from services.derp import frames, handshake, stun
from services.derp.admission import OpenAdmission
from services.derp.certificate import Certificate, self_signed, tls_context
from services.derp.connection import Limits
from services.derp.identity import load_identity
from services.derp.server import DerpServer, ServerSettings
from services.shared.clock import SystemClock
from services.shared.keys import NodeKey, PrivateKey
from tests.fakes.derp import disco_packet, key, login_frame, private
from tests.fakes.derp_client import DEADLINE, RelayClient, client, open_raw, pinned_context, read_head, upgrade

MESH = bytes(range(32))

pytestmark = [
    pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture"),
    pytest.mark.filterwarnings("ignore:Attribute's length must be"),
]


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    """Both loops: they differ in how TLS, buffers and cancelled handshakes behave."""
    policy = request.param()
    assert isinstance(policy, asyncio.AbstractEventLoopPolicy)
    return policy


class ListAdmission:
    """Lets in whom it lists; may be told to wait."""

    def __init__(self, *allowed: NodeKey) -> None:
        self.keys = set(allowed)
        self.asked: list[tuple[NodeKey, str]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def allowed(self, node_key: NodeKey, source: str) -> bool:
        self.asked.append((node_key, source))
        await self.open.wait()
        return node_key in self.keys


@dataclass
class Running:
    server: DerpServer
    certificate: Certificate

    @property
    def pin(self) -> str:
        return self.certificate.cert_name


def build(path: Path, admission: object = None, **changes: object) -> Running:
    identity = load_identity(path / "derp.key", MESH)
    certificate = self_signed(path, "relay.example.com", identity.public, datetime.now(UTC))
    settings = ServerSettings(
        hostname="relay.example.com",
        tls_address="127.0.0.1:0",
        http_address="127.0.0.1:0",
        stun_address="127.0.0.1:0",
        addresses=("192.0.2.1",),
        **changes,  # type: ignore[arg-type]
    )
    server = DerpServer(settings, identity, admission or OpenAdmission(), SystemClock(), tls_context(certificate))  # type: ignore[arg-type]
    return Running(server, certificate)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    one = build(tmp_path)
    await one.server.start()
    yield one
    await one.server.stop()


async def until(condition: object) -> None:
    """Wait for something that becomes true by itself."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # type: ignore[operator] # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def ask(port: int, request: str) -> tuple[str, bytes]:
    reader, writer = await open_raw(port)
    writer.write(request.encode())
    head = await read_head(reader)
    async with asyncio.timeout(DEADLINE):
        body = await reader.read()
    writer.close()
    return head, body


@pytest.mark.statement(117, 118)
async def test_an_upgrade_is_answered_with_101_and_then_the_server_key(running: Running) -> None:
    reader, writer = await open_raw(running.server.http_port)
    head = await upgrade(reader, writer)
    server = running.server.identity.public
    assert head == (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n"
        f"Derp-Version: 2\r\nDerp-Public-Key: {server.raw.hex()}\r\n\r\n"
    )
    async with asyncio.timeout(DEADLINE):
        assert await reader.readexactly(45) == handshake.encode_server_key(server)
    writer.close()


@pytest.mark.statement(117)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "OPTIONS"])
async def test_any_method_any_host_and_any_letter_case_upgrade(running: Running, method: str) -> None:
    reader, writer = await open_raw(running.server.http_port)
    writer.write(f"{method} /derp HTTP/1.1\r\nhost: 10.1.2.3:9\r\nUPGRADE: dErP\r\n\r\n".encode())
    assert (await read_head(reader)).startswith("HTTP/1.1 101 ")
    writer.close()


async def test_websocket_without_the_subprotocol_is_plain_derp(running: Running) -> None:
    reader, writer = await open_raw(running.server.http_port)
    writer.write(b"GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n")
    assert "\r\nUpgrade: DERP\r\n" in await read_head(reader)
    one = RelayClient(reader, writer, private(3))
    await one.log_in()
    await one.settle()
    writer.close()


async def test_without_an_upgrade_the_answer_is_426(running: Running) -> None:
    head, body = await ask(running.server.http_port, "GET /derp HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert head.startswith("HTTP/1.1 426 ")
    assert body == b"DERP requires connection upgrade\n"


@pytest.mark.statement(116, 121)
async def test_two_clients_exchange_packets_over_pinned_tls(running: Running) -> None:
    port = running.server.tls_port
    async with client(port, pin=running.pin) as alice, client(port, pin=running.pin) as bob:
        alice.send(bob.key, b"hi")
        assert await bob.packet() == (alice.key.raw, b"hi")
        bob.send(alice.key, bytes(frames.MAX_PACKET))
        assert await alice.packet() == (bob.key.raw, bytes(frames.MAX_PACKET))


@pytest.mark.statement(116)
async def test_the_chain_is_one_leaf_for_the_host_name_and_the_metacert(running: Running) -> None:
    chain = x509.load_pem_x509_certificates(running.certificate.chain_path.read_bytes())
    leaf, meta = chain
    (common,) = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    alternative = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert common.value == "relay.example.com"
    assert alternative.get_values_for_type(x509.DNSName) == ["relay.example.com"]
    (name,) = meta.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == "derpkey" + running.server.identity.public.raw.hex()
    assert meta.serial_number == 2


@pytest.mark.statement(117)
async def test_fast_start_over_tls_13_needs_no_response(running: Running) -> None:
    reader, writer = await open_raw(running.server.tls_port, pin=running.pin)
    assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
    alice = RelayClient(reader, writer, private(3))
    request = b"GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: DERP\r\nConnection: Upgrade\r\nDerp-Fast-Start: 1\r\n\r\n"
    writer.write(request + login_frame(alice.private, running.server.identity.public))
    assert (await alice.next(frames.SERVER_KEY)).payload.startswith(frames.MAGIC)
    await alice.next(frames.SERVER_INFO)
    await alice.settle()
    writer.close()


async def test_a_client_that_offers_http2_first_still_gets_http1(running: Running) -> None:
    context = pinned_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection("127.0.0.1", running.server.tls_port, ssl=context)
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
    assert (await upgrade(reader, writer)).startswith("HTTP/1.1 101 ")
    writer.close()


@pytest.mark.parametrize("size", [1, 7, 1000, 60_000])
async def test_a_browser_exchanges_packets_in_messages_of_any_size(running: Running, size: int) -> None:
    url = f"ws://127.0.0.1:{running.server.http_port}/derp"
    alice = private(3)
    async with (
        websockets.connect(
            url, subprotocols=[websockets.Subprotocol("derp")], origin=websockets.Origin("http://x")
        ) as line,
        client(running.server.http_port) as bob,
        asyncio.timeout(DEADLINE),
    ):
        assert line.subprotocol == "derp"
        assert line.protocol.extensions == []
        reader = frames.FrameReader(frames.CLIENT_BOUNDS)
        server = running.server.identity.public
        stream = login_frame(alice, server) + frames.send_packet(bob.key.raw, bytes(100))
        for at in range(0, len(stream), size):
            await line.send(stream[at : at + size])
        assert await bob.packet() == (handshake.public_key(alice).raw, bytes(100))
        bob.send(handshake.public_key(alice), bytes(50_000))
        kinds: list[int] = []
        while frames.RECV_PACKET not in kinds:
            message = await line.recv()
            assert isinstance(message, bytes)
            kinds += [frame.kind for frame in reader.frames(message)]
        assert kinds == [frames.SERVER_KEY, frames.SERVER_INFO, frames.RECV_PACKET]
        await (await line.ping())


async def test_a_text_message_is_refused(running: Running) -> None:
    url = f"ws://127.0.0.1:{running.server.http_port}/derp"
    async with websockets.connect(url, subprotocols=[websockets.Subprotocol("derp")]) as line:
        await line.send("hello")
        async with asyncio.timeout(DEADLINE):
            with pytest.raises(websockets.ConnectionClosed) as caught:
                while True:
                    await line.recv()
    assert caught.value.rcvd is not None and caught.value.rcvd.code == 1003


@pytest.mark.parametrize("headers", ["Sec-WebSocket-Version: 8", "Sec-WebSocket-Key: short", "X: y"])
async def test_a_websocket_upgrade_of_another_form_is_refused(running: Running, headers: str) -> None:
    request = (
        "GET /derp HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n"
        f"Sec-WebSocket-Protocol: derp\r\n{headers}\r\n\r\n"
    )
    head, _ = await ask(running.server.http_port, request)
    assert head.startswith("HTTP/1.1 426 ")


@pytest.mark.statement(126)
@pytest.mark.parametrize("path", ["/derp/probe", "/derp/latency-check"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_probes_are_answered_for_any_origin(running: Running, path: str, method: str) -> None:
    head, body = await ask(
        running.server.http_port, f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    assert head.startswith("HTTP/1.1 200 ")
    assert "\r\nAccess-Control-Allow-Origin: *\r\n" in head
    assert body == b""


async def test_a_probe_by_another_method_is_405(running: Running) -> None:
    head, _ = await ask(running.server.http_port, "POST /derp/probe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert head.startswith("HTTP/1.1 405 ")


@pytest.mark.parametrize(
    ("challenge", "answered"), [("ts_1.2:3-x", True), ("a" * 64, True), ("a" * 65, False), ("a b", False), ("", False)]
)
async def test_the_captive_portal_check_is_answered(running: Running, challenge: str, answered: bool) -> None:
    request = (
        f"GET /generate_204 HTTP/1.1\r\nHost: x\r\nX-Tailscale-Challenge: {challenge}\r\nConnection: close\r\n\r\n"
    )
    head, body = await ask(running.server.http_port, request)
    assert head.startswith("HTTP/1.1 204 ") and body == b""
    assert "no-store" in head
    assert (f"X-Tailscale-Response: response {challenge}\r\n" in head) is answered


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("?q=relay.example.com", b'{"relay.example.com":["192.0.2.1"]}'),
        ("?q=RELAY.example.com.", b'{"relay.example.com":["192.0.2.1"]}'),
        ("", b'{"relay.example.com":["192.0.2.1"]}'),
        ("?q=other.example.com", b"{}"),
    ],
)
async def test_bootstrap_dns_answers_its_own_name_only(running: Running, query: str, body: bytes) -> None:
    request = f"GET /bootstrap-dns{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert (await ask(running.server.http_port, request))[1] == body


async def test_one_connection_serves_several_requests(running: Running) -> None:
    reader, writer = await open_raw(running.server.http_port)
    writer.write(
        b"GET /derp/latency-check HTTP/1.1\r\nHost: x\r\n\r\n" * 3 + b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"
    )
    heads = [await read_head(reader) for _ in range(4)]
    assert [head.split()[1] for head in heads] == ["200"] * 4
    assert await reader.readexactly(3) == b"ok\n"
    writer.close()


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"\x00" * 100,
        b"GARBAGE\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 20_000,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 6_000 + b"\r\n",
        b"get /derp HTTP/1.1\r\n\r\n",
    ],
)
async def test_bytes_that_are_no_request_get_a_refusal(
    running: Running, hostile: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await open_raw(running.server.http_port)
    writer.write(hostile)
    async with asyncio.timeout(DEADLINE):
        try:
            answer = await reader.read()
        except ConnectionResetError:
            answer = b"HTTP/1.1 4"
    assert answer.startswith(b"HTTP/1.1 4")
    writer.close()
    await until(lambda: running.server.connections == 0)
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.statement(125)
@pytest.mark.parametrize(
    "hostile",
    [
        frames.header(frames.SEND_PACKET, 32 + frames.MAX_PACKET + 1),
        frames.header(0x99, 0xFFFFFFFF),
        frames.frame(frames.NOTE_PREFERRED, b"\x07"),
        pytest.param(frames.WATCH_CONNS_FRAME, marks=pytest.mark.statement(124)),
        pytest.param(frames.frame(frames.CLOSE_PEER, bytes(32)), marks=pytest.mark.statement(124)),
        pytest.param(frames.forward_packet(bytes(32), bytes(32), b""), marks=pytest.mark.statement(124)),
    ],
)
async def test_a_hostile_frame_ends_its_connection_and_no_other(
    running: Running, hostile: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with client(running.server.http_port) as alice, client(running.server.http_port) as eve:
        eve.writer.write(hostile)
        await eve.ended()
        await alice.settle()
    assert running.server.refusals.protocol == 1
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_login_with_any_changed_byte_ends_the_connection(running: Running) -> None:
    good = login_frame(private(3), running.server.identity.public)
    for at in range(0, len(good), 7):
        reader, writer = await open_raw(running.server.http_port)
        await upgrade(reader, writer)
        writer.write(good[:at] + bytes((good[at] ^ 0x10,)) + good[at + 1 :])
        writer.write_eof()
        async with asyncio.timeout(DEADLINE):
            try:
                rest = await reader.read()
            except ConnectionResetError:
                rest = b""
        assert len(rest) <= 45
        writer.close()
    await until(lambda: running.server.connections == 0)
    assert len(running.server.relay) == 0


async def test_silent_connections_are_cut_off(tmp_path: Path) -> None:
    one = build(tmp_path, limits=Limits(handshake_seconds=0.2, tick_seconds=0.02))
    await one.server.start()
    plain = await open_raw(one.server.http_port)
    upgraded = await open_raw(one.server.http_port)
    await upgrade(*upgraded)
    half_tls = await open_raw(one.server.tls_port)
    half_tls[1].write(b"\x16\x03\x01")
    async with client(one.server.http_port) as alice:
        async with asyncio.timeout(DEADLINE):
            for reader, _ in (plain, upgraded, half_tls):
                with pytest.raises((EOFError, ConnectionResetError)):
                    while True:
                        await reader.readexactly(1)
        await until(lambda: one.server.connections == 1)
        await alice.settle()
    for _, writer in (plain, upgraded, half_tls):
        writer.close()
    await one.server.stop()


async def test_a_flood_of_silent_connections_pushes_out_only_its_own_kind(tmp_path: Path) -> None:
    one = build(tmp_path, limits=Limits(lobby=20))
    await one.server.start()
    async with client(one.server.http_port) as alice, client(one.server.tls_port, pin=one.pin) as bob:
        silent = [await open_raw(port) for port in (one.server.tls_port, one.server.http_port) * 60]
        async with client(one.server.tls_port, pin=one.pin) as late:
            late.send(alice.key, b"in time")
            assert await alice.packet() == (late.key.raw, b"in time")
            bob.send(alice.key, b"still here")
            assert await alice.packet() == (bob.key.raw, b"still here")
        assert one.server.waiting <= 20
        await until(lambda: one.server.connections <= 22)
        assert one.server.refusals.crowded_out >= 100
        for _, writer in silent:
            writer.close()
    await one.server.stop()


async def test_beyond_the_limit_connections_are_closed_at_once(tmp_path: Path) -> None:
    one = build(tmp_path, limits=Limits(connections=2))
    await one.server.start()
    async with client(one.server.http_port) as alice, client(one.server.http_port):
        reader, writer = await open_raw(one.server.http_port)
        async with asyncio.timeout(DEADLINE):
            assert await reader.read() == b""
        writer.close()
        await alice.settle()
    assert one.server.refusals.full == 1
    await one.server.stop()


async def test_a_client_that_reads_nothing_is_dropped_and_its_peers_are_told(tmp_path: Path) -> None:
    one = build(tmp_path, limits=Limits(stall_seconds=0.3, tick_seconds=0.05))
    await one.server.start()
    async with client(one.server.http_port) as alice, client(one.server.http_port) as slow:
        slow.send(alice.key, b"hi")
        await alice.packet()
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        packet = bytes(60_000)

        async def flood() -> None:
            while len(one.server.relay) == 2:
                alice.send(slow.key, packet)
                await alice.writer.drain()

        async with asyncio.timeout(30):
            await flood()
        assert (await alice.next(frames.PEER_GONE)).payload == slow.key.raw + b"\x00"
        assert one.server.refusals.stalled == 1
    await one.server.stop()


async def test_only_admitted_clients_come_in(tmp_path: Path) -> None:
    alice = private(3)
    admission = ListAdmission(handshake.public_key(alice))
    one = build(tmp_path, admission)
    await one.server.start()
    async with client(one.server.tls_port, pin=one.pin, private=alice) as line:
        await line.settle()
        assert admission.asked == [(line.key, "127.0.0.1")]
        with pytest.raises((EOFError, ConnectionResetError)):
            async with client(one.server.tls_port, pin=one.pin, private=private(4)):
                pytest.fail("a stranger came in")
    assert one.server.refusals.not_admitted == 1
    await one.server.stop()


async def test_what_a_client_sends_while_it_is_asked_about_is_kept(tmp_path: Path) -> None:
    alice = private(3)
    admission = ListAdmission(handshake.public_key(alice))
    admission.open.clear()
    one = build(tmp_path, admission)
    await one.server.start()
    reader, writer = await open_raw(one.server.http_port)
    await upgrade(reader, writer)
    line = RelayClient(reader, writer, alice)
    writer.write(login_frame(alice, one.server.identity.public) + frames.frame(frames.PING, b"12345678"))
    await until(lambda: admission.asked)
    writer.write(frames.frame(frames.PING, b"abcdefgh"))
    admission.open.set()
    await line.next(frames.SERVER_KEY)
    await line.next(frames.SERVER_INFO)
    assert [(await line.next(frames.PONG)).payload for _ in range(2)] == [b"12345678", b"abcdefgh"]
    writer.close()
    await one.server.stop()


async def test_a_client_that_goes_away_while_it_is_asked_about_leaves_nothing(tmp_path: Path) -> None:
    admission = ListAdmission()
    admission.open.clear()
    one = build(tmp_path, admission)
    await one.server.start()
    reader, writer = await open_raw(one.server.http_port)
    await upgrade(reader, writer)
    writer.write(login_frame(private(3), one.server.identity.public))
    await until(lambda: admission.asked)
    writer.transport.abort()
    admission.open.set()
    await until(lambda: one.server.connections == 0 or one.server.refusals.not_admitted == 1)
    assert len(one.server.relay) == 0
    await one.server.stop()


@pytest.mark.statement(120)
async def test_idle_clients_get_keep_alives(tmp_path: Path) -> None:
    one = build(tmp_path, keep_alive_seconds=0.01, limits=Limits(tick_seconds=0.01))
    one.server.relay._random = lambda: 0.0
    await one.server.start()
    async with client(one.server.http_port) as alice:
        for _ in range(3):
            assert (await alice.next(frames.KEEP_ALIVE)).payload == b""
    await one.server.stop()


async def test_peers_hear_when_a_client_is_gone_and_when_it_is_not_here(running: Running) -> None:
    async with client(running.server.http_port) as alice:
        async with client(running.server.http_port) as bob:
            bob.send(alice.key, b"hi")
            assert await alice.packet() == (bob.key.raw, b"hi")
        assert (await alice.next(frames.PEER_GONE)).payload == bob.key.raw + b"\x00"
        alice.send(key(9), disco_packet())
        assert (await alice.next(frames.PEER_GONE)).payload == key(9).raw + b"\x01"


async def test_clients_are_told_when_the_relay_stops(tmp_path: Path) -> None:
    one = build(tmp_path)
    await one.server.start()
    async with client(one.server.tls_port, pin=one.pin) as alice:
        await one.server.stop()
        assert len((await alice.next(frames.RESTARTING)).payload) == 8
        await alice.ended()


class Asking(asyncio.DatagramProtocol):
    """A STUN client's socket."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.answers.put_nowait((data, addr))


@pytest.mark.statement(127)
@pytest.mark.parametrize(
    ("bound", "family", "target", "want"),
    [
        ("127.0.0.1:0", socket.AF_INET, "127.0.0.1", 1),
        ("0.0.0.0:0", socket.AF_INET, "127.0.0.2", 1),
        (":0", socket.AF_INET, "127.0.0.3", 1),
        ("[::]:0", socket.AF_INET6, "::1", 2),
        ("[::1]:0", socket.AF_INET6, "::1", 2),
    ],
)
async def test_stun_answers_from_the_address_that_was_asked(
    tmp_path: Path, bound: str, family: int, target: str, want: int
) -> None:
    identity = load_identity(tmp_path / "derp.key", None)
    server = DerpServer(ServerSettings(hostname="x", stun_address=bound), identity, OpenAdmission(), SystemClock())
    await server.start()
    transaction = os.urandom(12)
    asking = Asking()
    local = ("::1" if family == socket.AF_INET6 else "127.0.0.1", 0)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: asking, local)
    transport.sendto(b"noise", (target, server.stun_port))
    transport.sendto(stun.write_request(transaction), (target, server.stun_port))
    async with asyncio.timeout(DEADLINE):
        data, source = await asking.answers.get()
    assert source[:2] == (target, server.stun_port)
    assert data == stun.write_answer(transaction, *transport.get_extra_info("sockname")[:2])
    assert data[25] == want
    transport.close()
    assert server.stun is not None and (server.stun.answered, server.stun.ignored) == (1, 1)
    await server.stop()


def test_the_key_and_the_certificate_are_kept_and_secret(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    first = load_identity(tmp_path / "derp.key", None)
    again = load_identity(tmp_path / "derp.key", None)
    assert first == again
    assert (tmp_path / "derp.key").read_text().startswith("privkey:")
    one = self_signed(tmp_path, "192.0.2.1", first.public, now)
    assert self_signed(tmp_path, "192.0.2.1", first.public, now).cert_name == one.cert_name
    assert self_signed(tmp_path, "192.0.2.2", first.public, now).cert_name != one.cert_name
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}


async def test_a_taken_port_is_an_error_of_the_start(running: Running, tmp_path: Path) -> None:
    taken = f"127.0.0.1:{running.server.http_port}"
    settings = ServerSettings(hostname="x", http_address=taken)
    other = DerpServer(settings, running.server.identity, OpenAdmission(), SystemClock())
    with pytest.raises(OSError):
        await other.start()


async def test_tls_that_fails_leaves_nothing(running: Running, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ssl.SSLError):
        await asyncio.open_connection(
            "127.0.0.1", running.server.tls_port, ssl=ssl.create_default_context(), server_hostname="x"
        )
    reader, writer = await open_raw(running.server.tls_port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    async with asyncio.timeout(DEADLINE):
        with contextlib.suppress(ConnectionResetError):
            await reader.read()
    writer.close()
    await until(lambda: running.server.connections == 0)
    assert not [record for record in caplog.records if record.exc_info]


def test_private_keys_do_not_show_themselves() -> None:
    assert PrivateKey(bytes(32)).raw.hex() not in repr(PrivateKey(bytes(32)))
