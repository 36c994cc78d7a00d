"""A whole relay on loopback, for the tests of its doors and of what happens inside."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvloop

from services.derp.certificate import Certificate, self_signed, tls_context
from services.derp.client_admission import OpenAdmission
from services.derp.identity import load_identity
from services.derp.server import DerpServer, ServerSettings
from services.shared.keys import NodeKey
from services.shared.runtime.clock import SystemClock
from tests.fakes.derp_client import DEADLINE, open_raw, read_head

MESH = bytes(range(32))

WARNINGS = [
    pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture"),
    pytest.mark.filterwarnings("ignore:Attribute's length must be"),
]
"""Marks for tests that run on both event loops over TLS."""


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
    """A relay that is not yet started; `changes` are those of its settings."""
    identity = load_identity(path / "derp.key", MESH)
    certificate = self_signed(path, "relay.example.com", identity.public, datetime.now(UTC))
    chosen: dict[str, object] = {
        "hostname": "relay.example.com",
        "tls_address": "127.0.0.1:0",
        "http_address": "127.0.0.1:0",
        "stun_address": "127.0.0.1:0",
        "addresses": ("192.0.2.1",),
    }
    settings = ServerSettings(**(chosen | changes))  # type: ignore[arg-type]
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
