"""The gateway as a whole: the open web, its limits, how it behaves at its end, and slow clients over real sockets."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import httpx
import orjson
import pytest
from prometheus_client import generate_latest

import gateway.wiring
from gateway.proxies import client_address, parse_networks
from gateway.public.control import Health
from services.shared.keys import MachineKey, NodeKey, PrivateKey
from services.shared.runtime.process import embedded
from services.shared.telemetry import Telemetry
from tests.fakes.certificates import issue
from tests.fakes.device import Device, machine_key_of
from tests.fakes.noise_client import NoiseClient, StreamResetError
from tests.fakes.tailnet import Tailnet, config_in, tailnet_in


@pytest.fixture
async def tailnet(tmp_path: Path) -> AsyncIterator[Tailnet]:
    async with tailnet_in(tmp_path) as running:
        yield running


@pytest.fixture
async def web(tailnet: Tailnet) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=tailnet.url) as client:
        yield client


@pytest.fixture
async def key(tailnet: Tailnet) -> str:
    return await tailnet.auth_key(await tailnet.user("alice"))


def metric(tailnet: Tailnet, name: str) -> float:
    """What /metrics says now."""
    lines = generate_latest(tailnet.telemetry.registry).decode().splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])


# The open web


@pytest.mark.statement(1, 2, 4, 5)
async def test_the_control_key_is_given_to_anyone_who_says_a_version(web: httpx.AsyncClient) -> None:
    answer = await web.get("/key", params={"v": "113"})
    said = answer.json()
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    assert MachineKey.parse(said["publicKey"]) and MachineKey.parse(said["legacyPublicKey"]).is_zero
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("query", ["", "?v=", "?v=x", "?v=1.5", "?v=" + "9" * 400, "?V=113", "?v=%00"])
async def test_the_control_key_needs_a_whole_number(web: httpx.AsyncClient, query: str) -> None:
    assert (await web.get("/key" + query)).status_code == 400


async def test_health_is_that_of_all_services_and_asked_for_once_a_second() -> None:
    class Sick:
        asked = 0

        async def failing(self) -> list[str]:
            self.asked += 1
            return ["registry"]

    sick, time = Sick(), [100.0]
    health = Health(sick, lambda: time[0])
    assert await health.failing() == ["registry"] and await health.failing() == ["registry"]
    time[0] += 1.0
    await health.failing()
    assert sick.asked == 2


async def test_health_passes_when_everything_answers_and_names_what_does_not(tmp_path: Path) -> None:
    config = config_in(tmp_path)
    async with tailnet_in(tmp_path) as well:
        async with httpx.AsyncClient(base_url=well.url) as client:
            answer = await client.get("/health")
        assert (answer.status_code, answer.json()) == (200, {"status": "pass"})
        assert answer.headers["content-type"] == "application/health+json"
    async with embedded(config, {"gateway": gateway.wiring.build}, Telemetry()) as running:
        service = running["gateway"]
        assert isinstance(service, gateway.wiring.GatewayService)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.port}") as client:
            answer = await client.get("/health")
        assert answer.status_code == 500
        assert answer.json() == {"status": "fail", "failing": ["auth", "map_streamer", "policy", "registry"]}


@pytest.mark.statement(128)
async def test_relays_of_others_may_ask_whom_to_admit(tailnet: Tailnet, web: httpx.AsyncClient, key: str) -> None:
    device = await tailnet.device("web").join(key)
    known = await web.post("/verify", json={"NodePublic": str(device.node_key), "Source": "192.0.2.1"})
    unknown = await web.post("/verify", json={"NodePublic": str(NodeKey(os.urandom(32))), "Source": "192.0.2.1"})
    assert (known.status_code, known.json()) == (200, {"Allow": True})
    assert (unknown.status_code, unknown.json()) == (200, {"Allow": False})


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"NodePublic":7}', b'{"NodePublic":"mkey:00"}', b" " * 5000]
)
async def test_what_is_no_admission_request_is_refused(web: httpx.AsyncClient, body: bytes) -> None:
    assert (await web.post("/verify", content=body)).status_code == 400


async def test_every_answer_keeps_out_of_frames_and_is_not_guessed(web: httpx.AsyncClient) -> None:
    for path in ("/", "/key?v=113", "/nothing", "/robots.txt", "/version"):
        headers = (await web.get(path)).headers
        assert headers["x-frame-options"] == "DENY" and headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"


async def test_the_root_says_how_to_join_and_pages_have_an_icon(web: httpx.AsyncClient) -> None:
    root = await web.get("/")
    assert "tailscale up --login-server http" in root.text and 'href="/icon.svg"' in root.text
    assert "img-src 'self'" in root.headers["content-security-policy"]
    for path in ("/icon.svg", "/favicon.ico"):
        icon = await web.get(path)
        assert icon.headers["content-type"] == "image/svg+xml" and icon.text.startswith("<svg")


async def test_small_things(web: httpx.AsyncClient) -> None:
    assert "Disallow: /" in (await web.get("/robots.txt")).text
    said = (await web.get("/version")).json()
    assert (said["version"], said["smartscale"]) == ("v0.29.2", version("smartscale"))
    assert set(said) == {"version", "commit", "buildTime", "go", "dirty", "smartscale"}
    assert set(said["go"]) == {"version", "os", "arch"} and said["dirty"] is False
    assert (await web.get("/nothing")).status_code == 404
    proof = await web.get("/generate_204", headers={"X-Tailscale-Challenge": "abc.1"})
    assert (proof.status_code, proof.headers["x-tailscale-response"]) == (204, "response abc.1")


@pytest.mark.parametrize(
    ("peer", "headers", "address"),
    [
        ("203.0.113.9", {"x-forwarded-for": "1.2.3.4"}, "203.0.113.9"),
        ("10.0.0.1", {"x-forwarded-for": "6.6.6.6, 1.2.3.4, 10.0.0.2"}, "1.2.3.4"),
        ("10.0.0.1", {"x-real-ip": "1.2.3.4", "x-forwarded-for": "6.6.6.6"}, "1.2.3.4"),
        ("10.0.0.1", {"true-client-ip": "2001:db8::1", "x-real-ip": "1.2.3.4"}, "2001:db8::1"),
        ("::ffff:10.0.0.1", {"x-real-ip": "1.2.3.4"}, "1.2.3.4"),
        ("10.0.0.1", {"x-real-ip": "nonsense", "x-forwarded-for": ", ,"}, "10.0.0.1"),
    ],
)
def test_only_trusted_proxies_may_say_who_the_client_is(peer: str, headers: dict[str, str], address: str) -> None:
    assert client_address(peer, headers, parse_networks(["10.0.0.0/8"])) == address


def test_the_whole_internet_is_not_trusted() -> None:
    with pytest.raises(ValueError, match="whole internet"):
        parse_networks(["0.0.0.0/0"])


@pytest.mark.parametrize("trusted", [(), ("127.0.0.0/8",)], ids=["nobody", "loopback"])
async def test_behind_a_trusted_proxy_the_login_shows_the_clients_own_address(
    tmp_path: Path, trusted: tuple[str, ...]
) -> None:
    async with tailnet_in(tmp_path, replace(config_in(tmp_path), trusted_proxies=trusted)) as tailnet:
        device = tailnet.device("web")
        said = [("X-Forwarded-For", "198.51.100.7")]
        device.client = await NoiseClient.connect(tailnet.url, device.machine, headers=said)
        url = (await device.register())["AuthURL"]
        async with httpx.AsyncClient(base_url=tailnet.url) as browser:
            page = (await browser.get(url.removeprefix("http://hs.example.net"))).text
        assert ("198.51.100.7" in page) == bool(trusted)


# Tunnels


@pytest.mark.statement(11)
async def test_a_browser_joins_over_websocket(tailnet: Tailnet, key: str) -> None:
    device = tailnet.device("browser")
    device.client = await NoiseClient.connect(tailnet.url, device.machine, websocket=True)
    assert (await device.register(key))["MachineAuthorized"]
    assert await device.open_map() == 200
    await device.until(lambda: device.netmap.node is not None)


@pytest.mark.statement(10)
async def test_with_a_certificate_the_door_speaks_tls_without_alpn(tmp_path: Path) -> None:
    certificate, key_file = issue("127.0.0.1").write(tmp_path)
    config = replace(config_in(tmp_path), tls_cert_path=certificate, tls_key_path=key_file)
    async with tailnet_in(tmp_path, config) as tailnet:
        key = await tailnet.auth_key(await tailnet.user("alice"))
        device = tailnet.device("web")
        trust = ssl.create_default_context(cafile=str(certificate))
        url = tailnet.url.replace("http://", "https://")
        device.client = await NoiseClient.connect(url, device.machine, tls=trust)
        assert (await device.register(key))["MachineAuthorized"]
        assert await device.open_map() == 200
        await device.until(lambda: device.netmap.node is not None)


@pytest.mark.statement(33)
async def test_a_reset_frees_the_session_at_once_and_the_connection_stays_usable(tailnet: Tailnet, key: str) -> None:
    device = await tailnet.device("web").join(key)
    assert len(tailnet.gateway.sessions) == 1 and device.stream is not None and device.client is not None
    await device.stream.cancel()
    await device.client.ping()
    assert len(tailnet.gateway.sessions) == 0
    assert await device.report("192.0.2.1:1") == 200


@pytest.mark.statement(37)
async def test_answers_in_the_tunnel_are_not_compressed_by_http(tailnet: Tailnet, key: str) -> None:
    device = await tailnet.device("web").join(key)
    assert device.client is not None
    body = orjson.dumps({"Version": 113, "NodeKey": str(device.node_key)})
    status, headers, _ = await device.client.request("POST", "/machine/map", body, [("accept-encoding", "gzip")])
    assert status == 200 and "content-encoding" not in headers


@pytest.mark.statement(34, 90)
async def test_a_client_that_stops_reading_gets_one_merged_message_when_it_reads_again(tmp_path: Path) -> None:
    async with tailnet_in(tmp_path, config_in(tmp_path, high_water=4096, reports_per_second=0)) as tailnet:
        key = await tailnet.auth_key(await tailnet.user("alice"))
        slow = tailnet.device("slow", zstd=False)
        slow.client = await NoiseClient.connect(tailnet.url, slow.machine, initial_window=16_384)
        await slow.register(key)
        other = await tailnet.device("other").join(key)
        assert await slow.open_map() == 200
        await slow.sees(other)
        slow.pause()
        # More than the window: each report changes what the slow one must hear, and some come after it is full.
        number = last = 0
        async with asyncio.timeout(60):
            while not last or number < last:
                number += 1
                status = await other.report(*[f"192.0.2.{host}:{number}" for host in range(1, 9)], home_derp=999)
                assert status == 200
                if not last and metric(tailnet, "smartscale_map_sessions_paused") == 1:
                    last = number + 10
        slow.go_on()
        seen = await slow.sees(other, lambda peer: peer.get("Endpoints", [""])[0].endswith(f":{last}"))
        assert len(seen["Endpoints"]) == 8 and not slow.map_ended.is_set()
        assert len(slow.netmap.history) < last - 5


async def test_connections_that_prove_nothing_give_way_to_clients(tmp_path: Path) -> None:
    async with tailnet_in(tmp_path, config_in(tmp_path, max_handshakes=32)) as tailnet:
        key = await tailnet.auth_key(await tailnet.user("alice"))
        host, port = tailnet.url.removeprefix("http://").split(":")
        idle = [socket.create_connection((host, int(port))) for _ in range(200)]
        device = await tailnet.device("web").join(key)
        assert device.netmap.node is not None
        assert metric(tailnet, "smartscale_edge_half_open") <= 32
        for connection in idle:
            connection.close()


async def test_hostile_requests_leave_no_exception_and_harm_nobody(
    tailnet: Tailnet, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    device = await tailnet.device("web").join(key)
    stranger = await tailnet.device("stranger").connect()
    zero = "nodekey:" + "0" * 64
    for body in (b"", b"{", b"\xff" * 100, b"[" * 60_000, b'{"Version":113,"NodeKey":"%s"}' % zero.encode()):
        for path in ("/machine/register", "/machine/map"):
            status, _ = await stranger.ask(path, body)
            assert status == 400
    status, _ = await stranger.ask("/machine/map", b"x" * ((1 << 20) + 1))
    assert status == 413
    name = {"Hostname": "\x00\x1b]0;x\x07" + "a" * 900_000, "OS": "\u202e"}
    answer = await stranger.register(key, Hostinfo=name)
    assert answer["MachineAuthorized"]
    assert await device.report("192.0.2.1:1") == 200 and not device.map_ended.is_set()
    assert not [record for record in caplog.records if record.exc_info]


async def test_the_same_machine_may_hold_several_tunnels(tailnet: Tailnet, key: str) -> None:
    device = await tailnet.device("web").join(key)
    second = await NoiseClient.connect(tailnet.url, device.machine)
    status, _, body = await second.request("GET", "/machine/whoami")
    assert status == 200 and orjson.loads(body)["MachineKey"] == str(machine_key_of(device))
    await second.close()
    assert not device.map_ended.is_set()


# The end


async def test_clients_are_told_to_go_before_the_door_closes(tmp_path: Path) -> None:
    async with tailnet_in(tmp_path, config_in(tmp_path, drain_timeout=timedelta(seconds=0.2))) as tailnet:
        key = await tailnet.auth_key(await tailnet.user("alice"))
        devices: list[Device] = [await tailnet.device(f"n{number}").join(key) for number in range(3)]
        waiting = await tailnet.device("waiting").connect()
        held = asyncio.create_task(waiting.register(Followup="http://hs.example.net/register/x"))
        for device in devices:
            assert device.client is not None
            await device.client.ping()
        stopping = asyncio.create_task(tailnet.gateway.stop())
        async with asyncio.timeout(5):
            for device in devices:
                assert device.client is not None
                await device.client.going_away.wait()
                await device.map_ended.wait()
            await asyncio.gather(held, return_exceptions=True)
            await stopping
        with pytest.raises((OSError, httpx.HTTPError, StreamResetError)):
            await NoiseClient.connect(tailnet.url, PrivateKey.clamp(os.urandom(32)))
