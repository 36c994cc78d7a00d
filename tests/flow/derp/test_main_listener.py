"""The relay on the gateway's listener: `/derp` under the server's name and certificate, probes beside the web."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import grpc.aio
import pytest
import uvloop
from cryptography.hazmat.primitives.serialization import Encoding

import gateway.wiring
import services.derp.wiring
import services.registry.wiring
from services.derp import frames
from services.derp.wiring import DerpService
from services.shared.config import Config
from services.shared.config.model import DerpServerConfig
from services.shared.config.process_checks import process_errors
from services.shared.config.relay_place import relay_place
from services.shared.runtime.process import embedded
from services.shared.telemetry import Telemetry
from tests.fakes.certificates import issue
from tests.fakes.derp_client import DEADLINE, client, open_raw, read_head, upgrade
from tests.fakes.edge import until
from tests.fakes.ports import free_port
from tests.fakes.tailnet import BUILDS, config_in

pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy], ids=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    made: asyncio.AbstractEventLoopPolicy = request.param()
    return made


@dataclass
class Site:
    """A server with a relay on its one TLS port."""

    port: int
    pin: str
    relay: DerpService


@pytest.fixture(params=["one process", "forwarded"])
async def site(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    made = site_in(tmp_path) if request.param == "one process" else forwarded_in(tmp_path)
    async with made as site:
        yield site


@asynccontextmanager
async def forwarded_in(folder: Path) -> AsyncIterator[Site]:
    """A gateway that passes `/derp` on to the relay of another process."""
    relay_port = free_port()
    keys: dict[str, object] = {"http_listen_addr": f"127.0.0.1:{relay_port}"}
    async with site_in(folder, forward_to=f"127.0.0.1:{relay_port}", **keys) as site:
        (folder / "relay").mkdir()
        config = replace(config_in(folder / "relay"), server_url=f"https://localhost:{site.port}")
        server = DerpServerConfig(verify_clients=False, stun_listen_addr="127.0.0.1:0", hostname="localhost",
                                  private_key_path=folder / "derp.key", **keys)  # type: ignore[arg-type]  # fmt: skip
        limits = replace(config.gateway, relay_address=f"127.0.0.1:{relay_port}")
        config = replace(config, derp=replace(config.derp, server=server), gateway=limits)
        builds = {name: build for name, build in BUILDS.items() if name != "gateway"}
        async with embedded(config, builds | {"derp": services.derp.wiring.build}, Telemetry()) as running:
            relay = running["derp"]
            assert isinstance(relay, DerpService)
            yield Site(site.port, site.pin, relay)


@asynccontextmanager
async def site_in(folder: Path, *, forward_to: str = "", **relay_keys: object) -> AsyncIterator[Site]:
    issued = issue("localhost", "127.0.0.1")
    certificate, key = issued.write(folder)
    port = free_port()
    config = config_in(folder)
    server = DerpServerConfig(verify_clients=False, stun_listen_addr="127.0.0.1:0", hostname="localhost",
                              private_key_path=folder / "derp.key", **relay_keys)  # type: ignore[arg-type]  # fmt: skip
    config = replace(
        config, server_url=f"https://localhost:{port}", listen_addr=f"127.0.0.1:{port}", tls_cert_path=certificate,
        tls_key_path=key, derp=replace(config.derp, server=server),
        gateway=replace(config.gateway, relay_address=forward_to),
    )  # fmt: skip
    builds = {**{name: build for name, build in BUILDS.items() if name != "gateway"}}
    builds |= {"gateway": gateway.wiring.build} | ({} if forward_to else {"derp": services.derp.wiring.build})
    pin = "sha256-raw:" + hashlib.sha256(issued.certificate.public_bytes(Encoding.DER)).hexdigest()
    async with embedded(config, builds, Telemetry()) as running:
        relay = running.get("derp")
        assert forward_to or isinstance(relay, DerpService)
        yield Site(port, pin, relay)  # type: ignore[arg-type]


async def test_two_clients_talk_over_the_port_of_the_web(site: Site) -> None:
    async with client(site.port, pin=site.pin) as one, client(site.port, pin=site.pin) as two:
        packet = bytes(range(256)) * 200
        await two.settle()
        one.send(two.key, packet)
        received = await two.next(frames.RECV_PACKET)
        assert received.payload == one.key.raw + packet
        assert site.relay.server.connections == 2 and site.relay.server.waiting == 0
    assert site.relay.server.tls_port == 0


async def test_fast_start_and_bytes_behind_the_request_are_not_lost(site: Site) -> None:
    reader, writer = await open_raw(site.port, pin=site.pin)
    ping = frames.frame(frames.PING, b"12345678")
    writer.write(b"GET /derp HTTP/1.1\r\nhost: x\r\nupgrade: DERP\r\nconnection: Upgrade\r\nderp-fast-start: 1\r\n\r\n")
    writer.write(ping[:3])
    async with asyncio.timeout(DEADLINE):
        head = await reader.readexactly(5)
    assert head[0] == frames.SERVER_KEY
    writer.close()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/derp/probe", 200),
        ("/derp/latency-check", 200),
        ("/generate_204", 204),
        ("/bootstrap-dns", 200),
        ("/derp", 426),
    ],
)
async def test_probes_are_answered_and_the_connection_ends(site: Site, path: str, status: int) -> None:
    reader, writer = await open_raw(site.port, pin=site.pin)
    # The web before it on the same connection, and another request right behind it, which is not answered.
    writer.write(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
    head = await read_head(reader)
    size = int(next(line for line in head.lower().splitlines() if line.startswith("content-length")).split()[1])
    await reader.readexactly(size)
    challenge = "X-Tailscale-Challenge: abc\r\n" if status == 204 else ""
    request = f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: keep-alive\r\n{challenge}\r\n".encode()
    writer.write(request + b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
    async with asyncio.timeout(DEADLINE):
        whole = (await reader.read()).decode()
    assert whole.startswith(f"HTTP/1.1 {status} ") and whole.count("HTTP/1.1") == 1
    assert "Connection: close" in whole
    assert status != 204 or "X-Tailscale-Response: response abc" in whole


async def test_who_goes_before_the_login_leaves_no_trace(site: Site) -> None:
    reader, writer = await open_raw(site.port, pin=site.pin)
    assert (await upgrade(reader, writer)).startswith("HTTP/1.1 101 ")
    assert site.relay.server.waiting == 1
    writer.close()
    await until(lambda: site.relay.server.connections == 0)


async def test_the_end_of_the_server_ends_relayed_connections(tmp_path: Path) -> None:
    async with site_in(tmp_path) as site:
        reader, writer = await open_raw(site.port, pin=site.pin)
        assert (await upgrade(reader, writer)).startswith("HTTP/1.1 101 ")
    async with asyncio.timeout(DEADLINE):
        await reader.read()
    writer.close()


async def test_a_relay_that_is_away_is_said_at_once_and_found_when_it_is_back(tmp_path: Path) -> None:
    async with site_in(tmp_path, forward_to=f"127.0.0.1:{free_port()}", http_listen_addr="127.0.0.1:0") as site:
        reader, writer = await open_raw(site.port, pin=site.pin)
        assert (await upgrade(reader, writer)).startswith("HTTP/1.1 502 ")
        assert await reader.read() == b""
        writer.close()


def _config(url: str, **server: object) -> Config:
    base = Config(server_url=url)
    made = replace(base.derp.server, hostname="a.example", **server)  # type: ignore[arg-type]
    return replace(base, derp=replace(base.derp, server=made))


def _forwarded(url: str, **server: object) -> Config:
    base = _config(url, **server)
    return replace(base, gateway=replace(base.gateway, relay_address="derp:81"))


@pytest.mark.parametrize(
    ("config", "together", "place"),
    [
        (_config("https://a.example"), True, ("", "", 443)),
        (_config("https://A.example:8443"), True, ("", "", 8443)),
        (_config("https://a.example"), False, ("0.0.0.0:8443", "", 0)),
        (_config("http://a.example"), True, ("0.0.0.0:8443", "", 0)),
        (_config("https://b.example"), True, ("0.0.0.0:8443", "", 0)),
        (_config("https://a.example", listen_addr=":444"), True, (":444", "", 0)),
        (_config("https://a.example", http_listen_addr=":81"), True, ("", ":81", 0)),
        (_forwarded("https://a.example", http_listen_addr=":81"), False, ("", ":81", 443)),
        (_forwarded("https://a.example", http_listen_addr=":81", listen_addr=":8443"), False, (":8443", ":81", 443)),
        (_forwarded("https://b.example", http_listen_addr=":81"), False, ("", ":81", 0)),
        (_forwarded("http://a.example", http_listen_addr=":81"), False, ("", ":81", 0)),
    ],
)
def test_where_clients_reach_the_relay_follows_from_the_configuration(
    config: Config, together: bool, place: tuple[str, str, int]
) -> None:
    found = relay_place(config, together=together)
    assert (found.tls_address, found.http_address, found.main_port) == place


async def test_clients_are_told_the_port_of_the_url(site: Site, tmp_path: Path) -> None:
    async with grpc.aio.insecure_channel(f"unix:{tmp_path}/admin.sock"):
        record = site.relay.announcer._record()  # type: ignore[union-attr]
    assert (record.host_name, record.derp_port, record.cert_name) == ("localhost", site.port, "")


async def test_behind_a_proxy_clients_are_told_the_port_that_is_configured(tmp_path: Path) -> None:
    async with site_in(tmp_path, http_listen_addr="127.0.0.1:0", port=443) as site:
        record = site.relay.announcer._record()  # type: ignore[union-attr]
        assert (record.host_name, record.derp_port, record.cert_name) == ("localhost", 443, "")
        assert (site.relay.server.tls_port, site.relay.server.http_port > 0) == (0, True)


@pytest.mark.parametrize(
    ("address", "listener", "key"),
    [
        ("derp:8081", "0.0.0.0:8081", None),
        ("derp:8081", "", "derp.server.http_listen_addr"),
        ("derp", "0.0.0.0:8081", "gateway.relay_address"),
        (":8081", "0.0.0.0:8081", "gateway.relay_address"),
        ("derp:0", "0.0.0.0:8081", "gateway.relay_address"),
    ],
)
def test_an_address_of_the_relay_that_cannot_be_used_is_named(address: str, listener: str, key: str | None) -> None:
    base = _config("https://a.example", http_listen_addr=listener)
    config = replace(base, gateway=replace(base.gateway, relay_address=address))
    keys = [found for found, _, _ in process_errors(config) if "relay" in found or "http_listen" in found]
    assert keys == ([] if key is None else [key])
