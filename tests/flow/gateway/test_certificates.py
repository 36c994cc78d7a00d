"""Replaced certificates reach every listener at SIGHUP: the web, administration over gRPC, and the relay."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

import gateway.wiring
import services.derp.wiring
from services.shared.config import Config
from services.shared.runtime.process import embedded
from services.shared.telemetry import Telemetry
from tests.fakes.certificates import any_certificate, issue
from tests.fakes.edge import until
from tests.fakes.ports import free_ports
from tests.fakes.tailnet import BUILDS, config_in


async def shown(port: int, *protocols: str) -> str:
    """The first name in the certificate that a listener shows."""
    context = any_certificate()
    if protocols:
        context.set_alpn_protocols(protocols)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    leaf = x509.load_der_x509_certificate(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
    writer.close()
    return str(leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value[0].value)


def configured(folder: Path, ports: list[int]) -> Config:
    web, admin, relay = ports
    config = config_in(folder)
    certificate, key = folder / "server.pem", folder / "server.key"
    server = replace(
        config.derp.server, listen_addr=f"127.0.0.1:{relay}", stun_listen_addr="127.0.0.1:0", hostname="localhost",
        private_key_path=folder / "derp.key", tls_cert_path=certificate, tls_key_path=key,
    )  # fmt: skip
    return replace(
        config, server_url=f"https://localhost:{web}", listen_addr=f"127.0.0.1:{web}", tls_cert_path=certificate,
        grpc_listen_addr=f"127.0.0.1:{admin}", tls_key_path=key, derp=replace(config.derp, server=server),
    )  # fmt: skip


async def test_a_hang_up_takes_new_certificates_everywhere_and_bad_ones_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    issue("one.example").write(tmp_path)
    web, admin, relay = ports = free_ports(3)
    config = configured(tmp_path, ports)
    builds = {name: build for name, build in BUILDS.items() if name != "gateway"}
    builds |= {"derp": services.derp.wiring.build, "gateway": gateway.wiring.build}

    async def all_shown() -> set[str]:
        return {await shown(web), await shown(admin, "h2"), await shown(relay)}

    def lines(event: str) -> int:
        return sum(record.message == event for record in caplog.records)

    async with embedded(config, builds, Telemetry(), read=lambda: config):
        assert await all_shown() == {"one.example"}
        issue("two.example").write(tmp_path)
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: lines("configuration reloaded") == 1)
        assert await all_shown() == {"two.example"}
        (tmp_path / "server.key").write_bytes(b"-----BEGIN PRIVATE KEY-----\n")
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: lines("configuration reloaded") == 2)
        assert lines("replaced certificate cannot be used, keeping the old one") == 2, (
            "the gateway and the relay say so"
        )
        assert await all_shown() == {"two.example"}
