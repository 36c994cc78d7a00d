"""The upgrade on the wire: what is taken over, what is refused and how, and that the rest of HTTP goes on as before."""

import asyncio
import base64
import contextlib
import json
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
import uvloop
import websockets.asyncio.client
import websockets.exceptions
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.edge import tunnels as tunnels_module
from gateway.edge.http2 import frames
from gateway.edge.settings import EdgeSettings
from gateway.noise import ControlKey, Initiator, error_frame, respond
from services.shared.keys import PrivateKey
from tests.fakes.edge import CONTROL, Edge, serve_edge, until
from tests.fakes.noise_client import NoiseClient, WebSocketStream, read_frame

MACHINE = PrivateKey.clamp(b"\x22" * 32)
VECTOR = json.loads((Path(__file__).parents[1] / "wire" / "vectors" / "noise.json").read_text())
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: tailscale-control-protocol\r\nConnection: upgrade\r\n\r\n"

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


@pytest.fixture
def event_loop_policy():
    return uvloop.EventLoopPolicy()


def initiator(edge: Edge) -> Initiator:
    return Initiator(MACHINE, edge.control_key, PrivateKey.clamp(os.urandom(32)), 113)


def upgrade(handshake: bytes | None, method: str = "POST", **changes: str | None) -> bytes:
    headers: dict[str, str | None] = {
        "Host": "ctl",
        "Content-Length": "0",
        "Connection": "upgrade",
        "Upgrade": "tailscale-control-protocol",
        "X-Tailscale-Handshake": None if handshake is None else base64.b64encode(handshake).decode(),
    }
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [
        f"{method} /ts2021 HTTP/1.1",
        *(f"{name}: {value}" for name, value in headers.items() if value is not None),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


async def say(edge: Edge, *pieces: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    return reader, writer


async def answer_to(edge: Edge, *pieces: bytes) -> bytes:
    """Everything the server says until it hangs up."""
    reader, writer = await say(edge, *pieces)
    async with asyncio.timeout(5):
        data = await reader.read()
    writer.close()
    return data


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ")[1])


@pytest.mark.statement(7, 20)
async def test_the_101_is_exactly_what_clients_compare_and_the_response_follows():
    async with serve_edge() as edge:
        client = initiator(edge)
        reader, writer = await say(edge, upgrade(client.initiation))

        assert await reader.readuntil(b"\r\n\r\n") == SWITCHING
        client.finish(await reader.readexactly(51))
        writer.close()


@pytest.mark.statement(6)
@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": "Tailscale-Control-Protocol"},
        {"Connection": "Upgrade"},
        {"Connection": "keep-alive, UPGRADE"},
        {"Connection": None, "CONNECTION": "upgrade", "Upgrade": None, "UPGRADE": "tailscale-control-protocol"},
        {"User_Agent": "Go-http-client/1.1"},
        {"Content_Length": None},
    ],
)
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_the_upgrade_is_taken_in_any_letter_case(method, changes):
    async with serve_edge() as edge:
        client = initiator(edge)
        reader, writer = await say(edge, upgrade(client.initiation, method, **changes))

        assert await reader.readuntil(b"\r\n\r\n") == SWITCHING
        client.finish(await reader.readexactly(51))
        writer.close()


async def test_a_request_that_comes_byte_by_byte_is_the_same_request():
    async with serve_edge() as edge:
        client = initiator(edge)
        request = upgrade(client.initiation)
        reader, writer = await say(edge, *(request[n : n + 1] for n in range(len(request))))

        assert await reader.readuntil(b"\r\n\r\n") == SWITCHING
        client.finish(await reader.readexactly(51))
        writer.close()


@pytest.mark.statement(15)
@pytest.mark.parametrize("split", [None, 1, 40])
async def test_what_the_client_sent_right_behind_the_headers_reaches_the_tunnel(monkeypatch, split):
    ephemeral = b"\x44" * 32
    monkeypatch.setattr(tunnels_module.os, "urandom", lambda size: ephemeral[:size])
    async with serve_edge() as edge:
        client = initiator(edge)
        response, _ = respond(ControlKey(CONTROL), client.initiation, PrivateKey.clamp(ephemeral))
        session = client.finish(response)
        head = bytes([0x83, 0x87, 0x44, 5]) + b"/echo"
        ahead = session.sealer.seal(
            frames.PREFACE
            + frames.settings({})
            + frames.frame_header(len(head), frames.HEADERS, frames.END_HEADERS, 1)
            + head
            + frames.frame_header(5, frames.DATA, frames.END_STREAM, 1)
            + b"ahead"
        )
        whole = upgrade(client.initiation) + ahead
        end = len(whole) if split is None else len(whole) - len(ahead) + split
        _, writer = await say(edge, whole[:end], whole[end:])
        await until(lambda: edge.handler.requests)

        assert edge.handler.requests[0].body == b"ahead"
        writer.close()


@pytest.mark.statement(9)
@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": None, "Connection": None},
        {"Upgrade": None},
        {"Connection": None},
        {"Connection": "close"},
        {"Upgrade": "h2c"},
        {"Upgrade": ""},
        {"X_Tailscale_Handshake": None},
        {"X_Tailscale_Handshake": ""},
        {"X_Tailscale_Handshake": "not base64!"},
        {"X_Tailscale_Handshake": VECTOR["header"].rstrip("=")},
        {"X_Tailscale_Handshake": VECTOR["header"].replace("+", "-").replace("/", "_") + "-_-_"},
    ],
)
async def test_a_missing_or_invalid_header_gets_400_in_plain_text(changes):
    async with serve_edge() as edge:
        answer = await answer_to(edge, upgrade(bytes.fromhex(VECTOR["initiation"]), **changes))

        assert status_of(answer) == 400
        assert b"content-type: text/plain" in answer
        assert answer.split(b"\r\n\r\n", 1)[1].strip()
        assert edge.tunnels.counts.upgrades_refused == 1
        await until(lambda: edge.tunnels.counts.connections == 0)


async def test_another_method_gets_405():
    async with serve_edge() as edge:
        assert status_of(await answer_to(edge, upgrade(bytes(101), "PUT"))) == 405


@pytest.mark.statement(8, 17)
@pytest.mark.parametrize(
    ("initiation", "text"),
    [
        (b"x", "wrong handshake initiation size"),
        (bytes(100), "wrong handshake initiation size"),
        (bytes(102), "wrong handshake initiation size"),
        (bytes.fromhex("0071020060") + bytes(96), "wrong handshake message type"),
        (bytes.fromhex("0071010061") + bytes(96), "wrong handshake initiation length"),
    ],
)
async def test_a_malformed_initiation_gets_an_error_frame_after_the_101_and_the_end(initiation, text):
    async with serve_edge() as edge:
        assert await answer_to(edge, upgrade(initiation)) == SWITCHING + error_frame(text)
        assert edge.tunnels.counts.handshakes_refused == 1
        await until(lambda: edge.tunnels.counts.connections == 0)


@pytest.mark.statement(19)
@pytest.mark.parametrize("index", [10, 50, 100])
async def test_an_initiation_that_proves_nothing_gets_silence(index):
    async with serve_edge() as edge:
        initiation = bytearray(initiator(edge).initiation)
        initiation[index] ^= 1

        assert await answer_to(edge, upgrade(bytes(initiation))) == SWITCHING


async def test_the_rest_of_http_goes_to_the_application_and_may_be_followed_by_an_upgrade():
    async with serve_edge() as edge:
        client = initiator(edge)
        plain = b"POST /key?v=113 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
        reader, writer = await say(edge, plain)
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(20) == b"application: /key hi"
        writer.write(upgrade(client.initiation))
        assert await reader.readuntil(b"\r\n\r\n") == SWITCHING
        client.finish(await reader.readexactly(51))
        writer.close()


async def test_an_upgrade_behind_a_request_without_its_answer_is_refused():
    async with serve_edge() as edge:
        plain = b"GET /key HTTP/1.1\r\nHost: x\r\n\r\n"
        answer = await answer_to(edge, plain + upgrade(bytes.fromhex(VECTOR["initiation"])))

        assert b"101 Switching" not in answer


@pytest.mark.parametrize("start", [b"\x16\x03\x01\x02\x00", b"\r\n\r\nGARBAGE\r\n\r\n", b"GET / SMTP/1.1\r\n\r\n"])
async def test_what_is_no_http_gets_400_and_the_end(start):
    async with serve_edge() as edge:
        assert status_of(await answer_to(edge, start)) == 400


async def test_a_head_without_end_is_refused_at_64_kib():
    async with serve_edge() as edge:
        answer = await answer_to(edge, b"GET /key HTTP/1.1\r\nHost: x\r\nX: " + b"y" * (70 << 10))

        assert status_of(answer) == 431


@pytest.mark.parametrize(
    "start", [b"", b"GET /key HTT", b"POST /key HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nx"]
)
async def test_a_request_that_is_not_whole_at_the_deadline_is_dropped(start):
    async with serve_edge(EdgeSettings(head_deadline=0.2)) as edge:
        reader, writer = await say(edge, start)
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
        await until(lambda: edge.tunnels.counts.connections == 0)
        assert edge.tunnels.counts.half_open_dropped == 1
        writer.close()


@pytest.mark.statement(10)
@pytest.mark.parametrize("websocket", [False, True])
async def test_the_upgrade_works_over_tls_without_alpn(tmp_path, websocket):
    certificate, key = self_signed(tmp_path)
    trusting = ssl.create_default_context(cafile=certificate)
    async with serve_edge(ssl_certfile=str(certificate), ssl_keyfile=str(key)) as edge:
        url = f"https://localhost:{edge.port}"
        options = {"control_key": edge.control_key, "tls": trusting, "websocket": websocket}
        async with await NoiseClient.connect(url, MACHINE, **options) as client:
            assert (await client.request("POST", "/echo", b"x" * 100_000))[2] == b"x" * 100_000


def self_signed(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(*pem))
    return folder / "cert.pem", folder / "key.pem"


# WebSocket


async def dial(edge: Edge, handshake: str, **options) -> websockets.asyncio.client.ClientConnection:
    options = {"subprotocols": [websockets.Subprotocol("tailscale-control-protocol")], **options}
    url = f"ws://127.0.0.1:{edge.port}/ts2021{handshake}"
    return await websockets.asyncio.client.connect(url, proxy=None, **options)


def query(initiation: bytes) -> str:
    return "?X-Tailscale-Handshake=" + quote(base64.b64encode(initiation).decode(), safe="")


@pytest.mark.statement(11)
async def test_the_websocket_has_the_subprotocol_and_no_compression():
    async with serve_edge() as edge:
        socket = await dial(edge, query(initiator(edge).initiation), compression="deflate")

        assert socket.subprotocol == "tailscale-control-protocol"
        assert socket.response is not None
        assert "Sec-WebSocket-Extensions" not in socket.response.headers
        await socket.close()


@pytest.mark.statement(12)
@pytest.mark.parametrize("escape", [True, False])
async def test_the_query_is_percent_decoded_and_a_bare_plus_stays_one(escape):
    async with serve_edge() as edge:
        client = initiator(edge)
        while not {"+", "/", "="} <= set(base64.b64encode(client.initiation).decode()):
            client = initiator(edge)
        text = base64.b64encode(client.initiation).decode()
        socket = await dial(edge, "?a=b&X-Tailscale-Handshake=" + (quote(text, safe="") if escape else text))

        response, _ = await read_frame(WebSocketStream(socket))
        client.finish(response)
        await socket.close()


@pytest.mark.statement(13)
@pytest.mark.parametrize("piece", [1, 7, 100_000])
async def test_where_a_message_ends_means_nothing(piece):
    async with serve_edge() as edge:
        client = initiator(edge)
        stream = WebSocketStream(await dial(edge, query(client.initiation), compression=None), piece)
        response, left = await read_frame(stream)
        async with NoiseClient(stream, client.finish(response), left, 4 << 20) as noise:
            assert (await noise.request("POST", "/echo", b"pieces" * 100))[2] == b"pieces" * 100


async def test_no_message_is_longer_than_32_kib():
    async with serve_edge() as edge:
        client = initiator(edge)
        stream = WebSocketStream(await dial(edge, query(client.initiation), max_size=32 << 10))
        response, left = await read_frame(stream)
        async with NoiseClient(stream, client.finish(response), left, 4 << 20) as noise:
            answer = await noise.start("/stream")
            edge.handler.streams[0].send([bytes(1 << 20)])
            assert await answer.read_exactly(1 << 20) == bytes(1 << 20)


async def close_code(socket: websockets.asyncio.client.ClientConnection) -> int | None:
    async with asyncio.timeout(5):
        with pytest.raises(websockets.exceptions.ConnectionClosed):
            while True:
                await socket.recv()
    return socket.close_code


@pytest.mark.statement(11)
@pytest.mark.parametrize("subprotocols", [None, [websockets.Subprotocol("other")]])
async def test_without_the_subprotocol_the_websocket_is_closed_with_1008(subprotocols):
    async with serve_edge() as edge:
        socket = await dial(edge, query(initiator(edge).initiation), subprotocols=subprotocols)

        assert await close_code(socket) == 1008
        assert edge.tunnels.counts.handshakes == 0


@pytest.mark.statement(11)
async def test_a_text_message_closes_the_websocket_with_1003():
    async with serve_edge() as edge:
        socket = await dial(edge, query(initiator(edge).initiation))
        await socket.send("text")

        assert await close_code(socket) == 1003
        await until(lambda: edge.tunnels.counts.tunnels == 0)


@pytest.mark.statement(9)
@pytest.mark.parametrize("handshake", ["", "?X-Tailscale-Handshake=", "?X-Tailscale-Handshake=%%%", "?v=1"])
async def test_a_websocket_without_a_handshake_gets_400(handshake):
    async with serve_edge() as edge:
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            await dial(edge, handshake)
        assert refused.value.response.status_code == 400


@pytest.mark.statement(17)
async def test_a_malformed_initiation_gets_its_error_frame_in_a_message():
    async with serve_edge() as edge:
        socket = await dial(edge, query(bytes(100)))

        assert await socket.recv() == error_frame("wrong handshake initiation size")
        assert await close_code(socket) == 1000
        await until(lambda: edge.tunnels.counts.connections == 0)


async def test_a_broken_websocket_frame_ends_the_tunnel_with_1002():
    async with serve_edge() as edge:
        socket = await dial(edge, query(initiator(edge).initiation))
        socket.transport.write(b"\xff\xff\xff\xff")

        assert await close_code(socket) == 1002
        await until(lambda: edge.tunnels.counts.tunnels == 0)


async def test_a_broken_websocket_handshake_gets_400():
    async with serve_edge() as edge:
        head = (
            f"GET /ts2021{query(bytes(101))} HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        )
        assert status_of(await answer_to(edge, head.encode())) == 400


async def test_a_websocket_ping_is_answered():
    async with serve_edge() as edge:
        socket = await dial(edge, query(initiator(edge).initiation))
        async with asyncio.timeout(5):
            await (await socket.ping())
        await socket.close()
        await until(lambda: edge.tunnels.counts.connections == 0)


async def test_a_machine_that_reconnects_without_end_gets_429_and_others_come_in():
    async with serve_edge(EdgeSettings(reconnects_per_second=0.1)) as edge:
        client = await NoiseClient.connect(edge.url, MACHINE, 130, control_key=edge.control_key)
        refused = await answer_to(edge, upgrade(initiator(edge).initiation))
        head, _, body = refused.partition(b"\r\n\r\n")
        other = await NoiseClient.connect(edge.url, PrivateKey.clamp(b"\x23" * 32), 130, control_key=edge.control_key)
        counts = edge.tunnels.counts
        assert (counts.refused_machine_rate, counts.handshakes, counts.tunnels) == (1, 2, 2)
        await client.close()
        await other.close()
    assert status_of(refused) == 429
    assert b"retry-after: 5" in head and b"try again in 5 s" in body


async def test_an_address_beyond_its_rate_gets_429_before_the_handshake_is_looked_at():
    async with serve_edge(EdgeSettings(handshakes_per_second=0.1)) as edge:
        first = await answer_to(edge, upgrade(b"\0" * 101))
        second = await answer_to(edge, upgrade(initiator(edge).initiation))
        counts = edge.tunnels.counts
        assert (counts.refused_address_rate, counts.handshakes_refused, counts.handshakes) == (1, 1, 0)
    assert status_of(first) == 101
    assert status_of(second) == 429 and b"retry-after: 10" in second


async def test_over_a_websocket_a_machine_that_reconnects_without_end_gets_an_error_frame():
    async with serve_edge(EdgeSettings(reconnects_per_second=0.1)) as edge:
        client = await NoiseClient.connect(edge.url, MACHINE, 130, control_key=edge.control_key)
        query = quote(base64.b64encode(initiator(edge).initiation).decode(), safe="")
        url = f"ws://127.0.0.1:{edge.port}/ts2021?X-Tailscale-Handshake={query}"
        async with websockets.asyncio.client.connect(url, subprotocols=["tailscale-control-protocol"]) as socket:
            text = b"too many connections of this machine, try again in 5 s"
            assert await socket.recv() == error_frame(text.decode())
        await client.close()
