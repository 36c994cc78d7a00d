"""The upgrade on the wire: what is taken over, and that the rest of HTTP goes on as before."""

import ssl

import pytest

from gateway.edge import tunnels as tunnels_module
from gateway.edge.http2 import frames
from gateway.noise import ControlKey, respond
from services.shared.keys import PrivateKey
from tests.fakes.certificates import issue
from tests.fakes.edge import CONTROL, serve_edge, until
from tests.fakes.noise_client import NoiseClient
from tests.flow.upgrade.wire import MACHINE, SWITCHING, initiator, say, upgrade

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


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


@pytest.mark.statement(10)
@pytest.mark.parametrize("websocket", [False, True])
async def test_the_upgrade_works_over_tls_without_alpn(tmp_path, websocket):
    certificate, key = issue("localhost").write(tmp_path)
    trusting = ssl.create_default_context(cafile=certificate)
    async with serve_edge(certificate=certificate, key=key) as edge:
        url = f"https://localhost:{edge.port}"
        options = {"control_key": edge.control_key, "tls": trusting, "websocket": websocket}
        async with await NoiseClient.connect(url, MACHINE, **options) as client:
            assert (await client.request("POST", "/echo", b"x" * 100_000))[2] == b"x" * 100_000
