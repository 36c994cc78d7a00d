"""The doors of a relay: HTTP, TLS with a pin, fast start, WebSocket, both address families, STUN, probes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import websockets
from cryptography import x509
from cryptography.x509.oid import NameOID

from services.derp import frames, handshake, stun
from services.derp.client_admission import OpenAdmission
from services.derp.datagram import packed
from services.derp.identity import load_identity
from services.derp.server import DerpServer, ServerSettings
from services.shared.runtime.clock import SystemClock
from tests.fakes import derp_server
from tests.fakes.derp import login_frame, private
from tests.fakes.derp_client import DEADLINE, RelayClient, client, open_raw, pinned_context, read_head, upgrade
from tests.fakes.derp_server import (
    WARNINGS,
    Running,
    ask,
    build,
    until,
)

pytestmark = WARNINGS
event_loop_policy = derp_server.event_loop_policy
running = derp_server.running


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


@asynccontextmanager
async def listening(path: Path, host: str) -> AsyncIterator[Running]:
    """A relay on another address than the usual one."""
    one = build(path, tls_address=f"{host}:0", http_address=f"{host}:0")
    await one.server.start()
    yield one
    await one.server.stop()


@pytest.mark.parametrize(("bound", "target"), [("[::1]", "::1"), ("[::]", "::1"), ("[::]", "127.0.0.1")])
async def test_both_address_families_reach_each_other(tmp_path: Path, bound: str, target: str) -> None:
    async with (
        listening(tmp_path, bound) as relay,
        client(relay.server.tls_port, pin=relay.pin, host=target) as alice,
        client(relay.server.http_port, host=target) as bob,
    ):
        alice.send(bob.key, b"over here")
        assert await bob.packet() == (alice.key.raw, b"over here")
        seen = {peer.address[0] for peer in relay.server.relay.clients()}
        assert seen == {target}


async def test_a_browser_and_a_device_talk_over_tls(running: Running) -> None:
    url = f"wss://127.0.0.1:{running.server.tls_port}/derp"
    alice = private(3)
    async with (
        websockets.connect(url, subprotocols=[websockets.Subprotocol("derp")], ssl=pinned_context()) as line,
        client(running.server.tls_port, pin=running.pin) as bob,
        asyncio.timeout(DEADLINE),
    ):
        await line.send(login_frame(alice, running.server.identity.public))
        await line.send(frames.send_packet(bob.key.raw, b"from a page"))
        assert await bob.packet() == (handshake.public_key(alice).raw, b"from a page")
        bob.send(handshake.public_key(alice), b"to a page")
        reader, kinds = frames.FrameReader(frames.CLIENT_BOUNDS), [frames.SERVER_KEY]
        while kinds[-1] != frames.RECV_PACKET:
            message = await line.recv()
            assert isinstance(message, bytes)
            kinds += [frame.kind for frame in reader.frames(message)]


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
    host, port = transport.get_extra_info("sockname")[:2]
    assert data == stun.write_answer(transaction, packed(host), port)
    assert data[25] == want
    transport.close()
    assert server.stun is not None and (server.stun.answered, server.stun.ignored) == (1, 1)
    await server.stop()


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
