"""Caddy and Traefik before the server, by our files: tunnel, WebSocket tunnel, relay and web go through with HTTPS."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
import yaml
from cryptography.hazmat.primitives.serialization import Encoding

import gateway.wiring
import services.derp.wiring
from services.derp import frames
from services.shared.keys import PrivateKey
from services.shared.runtime.process import embedded
from services.shared.telemetry import Telemetry
from tests.fakes.certificates import issue
from tests.fakes.derp_client import client
from tests.fakes.noise_client import NoiseClient
from tests.fakes.ports import free_ports
from tests.fakes.tailnet import BUILDS, config_in

NAME, BACKEND = "headscale.example.com", "127.0.0.1:8080"
DEPLOY = Path(__file__).parents[2] / "deploy"

pytestmark = pytest.mark.e2e


@dataclass
class Site:
    """A server behind a proxy: where the proxy listens, and its certificate."""

    url: str
    port: int
    pin: str
    tls: ssl.SSLContext


def caddy(folder: Path, port: int, backend: int) -> list[str]:
    """Caddy with our file, on other ports and with a certificate of the test."""
    text = (DEPLOY / "caddy" / "Caddyfile").read_text().replace(BACKEND, f"127.0.0.1:{backend}")
    text = text.replace(f"\n{NAME} {{", f"\nhttps://localhost:{port} {{")
    text = text.replace(
        "# tls /etc/ssl/fullchain.pem /etc/ssl/privkey.pem", f"tls {folder}/server.pem {folder}/server.key"
    )
    (folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https off\n}\n" + text)
    return [program("caddy"), "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


def traefik(folder: Path, port: int, backend: int) -> list[str]:
    """Traefik with our file, on other ports and with a certificate of the test."""
    text = (DEPLOY / "traefik" / "smartscale.yaml").read_text()
    made = yaml.safe_load(text.replace(BACKEND, f"127.0.0.1:{backend}").replace(NAME, "localhost"))
    made["tls"] = {"certificates": [{"certFile": f"{folder}/server.pem", "keyFile": f"{folder}/server.key"}]}
    (folder / "dynamic.yaml").write_text(yaml.safe_dump(made))
    return [
        program("traefik"), f"--entrypoints.websecure.address=127.0.0.1:{port}", "--global.checknewversion=false",
        f"--providers.file.filename={folder}/dynamic.yaml", "--global.sendanonymoususage=false",
    ]  # fmt: skip


def program(name: str) -> str:
    """Where a packaged proxy is."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"not installed: {name}-bin")
    return found


@pytest.fixture(params=[caddy, traefik], ids=["caddy", "traefik"])
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    command: Callable[[Path, int, int], list[str]] = request.param
    issued = issue("localhost", "127.0.0.1", authority=True)
    certificate, _ = issued.write(tmp_path)
    port, backend = free_ports(2)
    config = config_in(tmp_path)
    relay = replace(config.derp.server, hostname="localhost", stun_listen_addr="127.0.0.1:0", verify_clients=False,
                    private_key_path=tmp_path / "derp.key")  # fmt: skip
    config = replace(
        config, server_url=f"https://localhost:{port}", listen_addr=f"127.0.0.1:{backend}",
        trusted_proxies=("127.0.0.1",), derp=replace(config.derp, server=relay),
    )  # fmt: skip
    builds = {name: build for name, build in BUILDS.items() if name != "gateway"}
    builds |= {"derp": services.derp.wiring.build, "gateway": gateway.wiring.build}
    tls = ssl.create_default_context(cafile=str(certificate))
    pin = "sha256-raw:" + hashlib.sha256(issued.certificate.public_bytes(Encoding.DER)).hexdigest()
    line = command(tmp_path, port, backend)
    with (tmp_path / "proxy.log").open("w") as log:
        env = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        process = subprocess.Popen(line, stdout=log, stderr=log, env=env)  # noqa: ASYNC220  it is a start, not a wait
        try:
            async with embedded(config, builds, Telemetry()):
                made = Site(f"https://localhost:{port}", port, pin, tls)
                await _healthy(made, process)
                yield made
        finally:
            process.terminate()
            process.wait(10)


async def _healthy(site: Site, process: subprocess.Popen[bytes]) -> None:
    async with asyncio.timeout(30), httpx.AsyncClient(verify=site.tls) as web:
        while True:
            assert process.poll() is None, "the proxy ended"
            try:
                if (await web.get(f"{site.url}/health")).status_code == 200:
                    return
            except httpx.HTTPError:
                await asyncio.sleep(0.1)


async def test_everything_that_clients_do_goes_through(site: Site) -> None:
    async with httpx.AsyncClient(verify=site.tls) as web:
        assert (await web.get(f"{site.url}/key?v=130")).json()["publicKey"].startswith("mkey:")
        assert (await web.get(f"{site.url}/derp/probe")).status_code == 200
    for websocket in (False, True):
        key = PrivateKey.clamp(os.urandom(32))
        async with await NoiseClient.connect(site.url, key, websocket=websocket, tls=site.tls) as tunnel:
            await tunnel.ping()
    async with client(site.port, pin=site.pin) as one, client(site.port, pin=site.pin) as two:
        await two.settle()
        one.send(two.key, b"over the proxy")
        assert (await two.next(frames.RECV_PACKET)).payload == one.key.raw + b"over the proxy"
