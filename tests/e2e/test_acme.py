"""Certificates from a real ACME authority (pebble) by both challenges, and what is served meanwhile."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import httpx
import pytest
from cryptography import x509

import gateway.wiring
from services.shared.certificates.ordering import Authority, OrderError, order
from services.shared.certificates.store import AcmeStore
from services.shared.config import Config
from services.shared.runtime.process import embedded
from services.shared.telemetry import Telemetry
from tests.e2e.waiting import wait_for
from tests.fakes.certificates import any_certificate, issue
from tests.fakes.ports import free_ports
from tests.fakes.tailnet import BUILDS, config_in

HOST = "hs.mesh.test"
PROGRAMS = ("pebble", "pebble-challtestsrv")
Kind = Literal["HTTP-01", "TLS-ALPN-01"]

pytestmark = pytest.mark.e2e


class Pebble:
    """An authority that dials this machine for every name, on ports of the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.api, self.management, self.http, self.tls, dns, challenges = free_ports(6)
        certificate, key = issue("localhost", "127.0.0.1", authority=True).write(folder, "pebble")
        self.ca = certificate
        settings = {
            "listenAddress": f"127.0.0.1:{self.api}", "managementListenAddress": f"127.0.0.1:{self.management}",
            "certificate": str(certificate), "privateKey": str(key), "httpPort": self.http, "tlsPort": self.tls,
            "ocspResponderURL": "", "externalAccountBindingRequired": False,
        }  # fmt: skip
        (folder / "pebble.json").write_text(json.dumps({"pebble": settings}))
        names = ["pebble-challtestsrv", "-dns01", f"127.0.0.1:{dns}", "-http01", "", "-https01", "", "-tlsalpn01", "",
                 "-management", f"127.0.0.1:{challenges}", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]  # fmt: skip
        server = ["pebble", "-config", str(folder / "pebble.json"), "-dnsserver", f"127.0.0.1:{dns}"]
        env = {"PATH": "/usr/bin:/bin", "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "5"}
        self.log = (folder / "pebble.log").open("w")
        self.processes = [
            subprocess.Popen(command, env=env, stdout=self.log, stderr=subprocess.STDOUT) for command in (names, server)
        ]

    @property
    def directory(self) -> str:
        return f"https://localhost:{self.api}/dir"

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
            process.wait(10)
        self.log.close()


@pytest.fixture
def pebble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pebble]:
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    made = Pebble(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(made.ca))
    try:
        wait_for("pebble listens", lambda: "ACME directory available" in (tmp_path / "pebble.log").read_text(), 30)
        yield made
    finally:
        made.stop()


def configured(pebble: Pebble, kind: Kind) -> Config:
    config = config_in(pebble.folder)
    return replace(
        config,
        server_url=f"https://{HOST}:{pebble.tls}",
        listen_addr=f"127.0.0.1:{pebble.tls}",
        derp=replace(config.derp, server=replace(config.derp.server, enabled=False)),
        acme_url=pebble.directory,
        acme_email="ops@mesh.test",
        tls_letsencrypt_hostname=HOST,
        tls_letsencrypt_cache_dir=pebble.folder / "acme",
        tls_letsencrypt_challenge_type=kind,
        tls_letsencrypt_listen=f"127.0.0.1:{pebble.http}",
    )


async def issuer(port: int) -> str:
    """Who signed the certificate that is shown."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=any_certificate())
    leaf = x509.load_der_x509_certificate(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
    writer.close()
    return leaf.issuer.rfc4514_string()


@asynccontextmanager
async def serving(config: Config):  # type: ignore[no-untyped-def]
    async with embedded(config, {**BUILDS, "gateway": gateway.wiring.build}, Telemetry()) as running:
        yield running


@pytest.mark.parametrize("kind", ["HTTP-01", "TLS-ALPN-01"])
async def test_a_server_gets_its_certificate_by_itself(pebble: Pebble, kind: Kind) -> None:
    config = configured(pebble, kind)
    async with serving(config):
        async with asyncio.timeout(60):
            while "Pebble" not in await issuer(pebble.tls):  # noqa: ASYNC110  another process issues it
                await asyncio.sleep(0.1)
        store = AcmeStore(config.tls_letsencrypt_cache_dir, HOST)
        first = store.pair.read_bytes()
        assert b"PRIVATE KEY" in first and first.count(b"BEGIN CERTIFICATE") >= 2
        assert list((store.folder / "challenges").iterdir()) == []
        async with httpx.AsyncClient(verify=any_certificate()) as client:
            assert (await client.get(f"https://127.0.0.1:{pebble.tls}/health")).status_code == 200
            if kind == "HTTP-01":
                sent = await client.get(f"http://127.0.0.1:{pebble.http}/register/x?y=1")
                assert (sent.status_code, sent.headers["location"]) == (302, f"{config.server_url}/register/x?y=1")
                unknown = await client.get(f"http://127.0.0.1:{pebble.http}/.well-known/acme-challenge/nothing")
                assert unknown.status_code == 404
                upgraded = await client.post(f"http://127.0.0.1:{pebble.http}/ts2021")
                assert upgraded.status_code == 400, "the tunnel answers on port 80"
    async with serving(config):
        assert "Pebble" in await issuer(pebble.tls), "a restart needs no order"
        assert store.pair.read_bytes() == first


async def test_an_authority_that_cannot_reach_us_is_quoted(pebble: Pebble) -> None:
    store = AcmeStore(pebble.folder / "acme", HOST)
    store.prepare(datetime.now(UTC))
    with pytest.raises(OrderError, match=r"hs\.mesh\.test: .*(refused|connection|fetch)"):
        await asyncio.to_thread(order, Authority(pebble.directory, "", "HTTP-01"), store)
    with pytest.raises(OrderError, match="cannot be reached"), socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        gone = f"https://127.0.0.1:{unused.getsockname()[1]}/dir"
        await asyncio.to_thread(order, Authority(gone, "", "HTTP-01"), store)
    assert list((store.folder / "challenges").iterdir()) == []
