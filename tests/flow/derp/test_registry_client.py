"""The relay and the registry: admission with its cache, the announcement, and the wired service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from prometheus_client import generate_latest
from smartscale.derp.v1 import derp_pb2, derp_pb2_grpc
from smartscale.registry.v1 import registry_pb2, registry_pb2_grpc
from smartscale.types.v1 import relay_pb2 as relay_types

from services.derp import registry_client as announcing
from services.derp.certificate import configured, self_signed, tls_context
from services.derp.connection import Limits
from services.derp.handshake import public_key
from services.derp.registry_client import ALLOWED_FOR, REFUSED_FOR, RegistryAdmission
from services.derp.wiring import DerpService, build
from services.shared.bus import MemoryBus
from services.shared.config.errors import ConfigError
from services.shared.config.model import Config, DerpConfig, DerpServerConfig
from services.shared.rpc import LocalChannel, LocalServer
from services.shared.runtime.clock import SystemClock
from services.shared.runtime.process import Deps
from services.shared.runtime.reload import Reloader
from services.shared.telemetry import Telemetry
from tests.fakes.derp import key, private
from tests.fakes.derp_client import DEADLINE, client

Context = grpc.aio.ServicerContext[Any, Any]


def node_id_of(node_key: bytes) -> int:
    """The id that `FakeRegistry` gives to the node with this key."""
    return 1 + int.from_bytes(node_key[:4], "big")


class FakeRegistry(registry_pb2_grpc.RegistryServiceServicer):
    """Knows some node keys and remembers who announced itself."""

    def __init__(self) -> None:
        self.allowed: set[bytes] = set()
        self.asked: list[bytes] = []
        self.announced: asyncio.Queue[relay_types.Relay] = asyncio.Queue()
        self.failing = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def VerifyNodeKey(
        self, request: registry_pb2.VerifyNodeKeyRequest, context: Context
    ) -> registry_pb2.VerifyNodeKeyResponse:
        self.asked.append(request.node_key)
        await self.gate.wait()
        if self.failing:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "down")
        allow = request.node_key in self.allowed
        return registry_pb2.VerifyNodeKeyResponse(allow=allow, node_id=node_id_of(request.node_key) if allow else 0)

    async def AnnounceRelay(
        self, request: registry_pb2.AnnounceRelayRequest, context: Context
    ) -> registry_pb2.AnnounceRelayResponse:
        if self.failing:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "down")
        self.announced.put_nowait(request.relay)
        return registry_pb2.AnnounceRelayResponse()

    async def announcement_of(self, cert_name: str) -> None:
        """Wait until a relay announces itself with this certificate."""
        async with asyncio.timeout(DEADLINE):
            while (await self.announced.get()).cert_name != cert_name:
                pass


class HandClock(SystemClock):
    """Moves when told."""

    def __init__(self) -> None:
        self.at = 100.0

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def registry() -> FakeRegistry:
    return FakeRegistry()


@pytest.fixture
async def channel(registry: FakeRegistry) -> AsyncIterator[LocalChannel]:
    server = LocalServer()
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(registry, server)  # type: ignore[no-untyped-call]
    await server.start()
    yield LocalChannel(server)
    await server.stop()


def settings(path: Path, **changes: Any) -> Config:
    chosen = DerpServerConfig(
        region_id=900,
        region_code="home",
        region_name="Home",
        listen_addr="127.0.0.1:0",
        http_listen_addr="127.0.0.1:0",
        stun_listen_addr="127.0.0.1:0",
        hostname="127.0.0.1",
    )
    return Config(
        state_dir=path, server_url="http://192.0.2.7:8080", derp=DerpConfig(server=replace(chosen, **changes))
    )


def deps(channel: LocalChannel) -> Deps:
    return Deps(SystemClock(), MemoryBus(), {"registry": channel}, Telemetry())


async def running(path: Path, channel: LocalChannel, **changes: Any) -> DerpService:
    service = await build(settings(path, **changes), deps(channel))
    await service.start()
    return service


async def test_known_keys_come_in_and_others_do_not(registry: FakeRegistry, channel: LocalChannel) -> None:
    registry.allowed = {key(1).raw}
    admission = RegistryAdmission(channel, SystemClock())
    assert await admission.allowed(key(1), "192.0.2.1")
    assert not await admission.allowed(key(2), "192.0.2.1")


async def test_answers_are_remembered_for_some_seconds(registry: FakeRegistry, channel: LocalChannel) -> None:
    clock = HandClock()
    admission = RegistryAdmission(channel, clock)
    assert not await admission.allowed(key(1), "")
    registry.allowed = {key(1).raw}
    assert not await admission.allowed(key(1), "")
    clock.at += REFUSED_FOR
    assert await admission.allowed(key(1), "")
    registry.allowed = set()
    clock.at += ALLOWED_FOR - 0.1
    assert await admission.allowed(key(1), "")
    clock.at += 0.2
    assert not await admission.allowed(key(1), "")
    assert len(registry.asked) == 3


async def test_many_who_ask_at_once_are_one_question(registry: FakeRegistry, channel: LocalChannel) -> None:
    registry.allowed = {key(1).raw}
    registry.gate.clear()
    admission = RegistryAdmission(channel, SystemClock())
    asking = [asyncio.create_task(admission.allowed(key(1), "")) for _ in range(20)]
    await asyncio.sleep(0)
    asking[0].cancel()
    registry.gate.set()
    async with asyncio.timeout(DEADLINE):
        assert await asyncio.gather(*asking[1:]) == [True] * 19
    assert len(registry.asked) == 1


@pytest.mark.parametrize("fail_open", [False, True])
async def test_when_the_registry_is_down_the_operator_decided(
    registry: FakeRegistry, channel: LocalChannel, fail_open: bool, caplog: pytest.LogCaptureFixture
) -> None:
    registry.failing = True
    admission = RegistryAdmission(channel, SystemClock(), fail_open=fail_open)
    assert await admission.allowed(key(1), "") is fail_open
    assert not [record for record in caplog.records if record.exc_info]
    registry.failing = False
    assert not await admission.allowed(key(1), "")


@pytest.mark.statement(116)
async def test_the_relay_announces_what_clients_need(
    registry: FakeRegistry, channel: LocalChannel, tmp_path: Path
) -> None:
    service = await running(tmp_path, channel)
    async with asyncio.timeout(DEADLINE):
        relay = await registry.announced.get()
    assert (relay.region_id, relay.region_code, relay.region_name) == (900, "home", "Home")
    assert (relay.name, relay.host_name) == ("900-127.0.0.1", "127.0.0.1")
    assert (relay.ipv4, relay.ipv6) == ("127.0.0.1", "none")
    assert (relay.derp_port, relay.stun_port) == (service.server.tls_port, service.server.stun_port)
    alice = private(3)
    registry.allowed = {public_key(alice).raw}
    async with client(relay.derp_port, pin=relay.cert_name, private=alice) as line:
        await line.settle()
    await service.stop()


async def test_the_announcement_is_tried_again_until_the_registry_answers(
    registry: FakeRegistry, channel: LocalChannel, tmp_path: Path
) -> None:
    registry.failing = True
    service = await running(tmp_path, channel)
    assert registry.announced.empty()
    registry.failing = False
    async with asyncio.timeout(DEADLINE):
        await registry.announced.get()
    await service.stop()


async def test_a_relay_that_shall_not_be_announced_is_not(
    registry: FakeRegistry, channel: LocalChannel, tmp_path: Path
) -> None:
    service = await running(tmp_path, channel, automatically_add_embedded_derp_region=False, verify_clients=False)
    async with client(service.server.http_port) as line:
        await line.settle()
    assert registry.announced.empty() and not registry.asked
    await service.stop()


async def test_the_status_and_the_metrics_say_what_the_relay_does(
    registry: FakeRegistry, channel: LocalChannel, tmp_path: Path
) -> None:
    held = deps(channel)
    service = await build(settings(tmp_path, verify_clients=False), held)
    await service.start()
    own = LocalServer()
    service.add_to(own)
    await own.start()
    stub = derp_pb2_grpc.DerpServiceStub(LocalChannel(own))  # type: ignore[no-untyped-call]
    async with client(service.server.http_port) as alice, client(service.server.http_port) as bob:
        alice.send(bob.key, b"hi")
        await bob.packet()
        status = await stub.GetStatus(derp_pb2.GetStatusRequest(), timeout=DEADLINE)
        assert status.public_key == alice.server.raw
        assert (status.region_id, status.clients, status.packets, status.dropped) == (900, 2, 1, 0)
        assert status.cert_name.startswith("sha256-raw:")
        text = generate_latest(held.telemetry.registry).decode()
        assert "smartscale_derp_clients 2.0" in text
        assert 'smartscale_derp_packets_total{direction="sent"} 1.0' in text
    await own.stop()
    await service.stop()
    assert "smartscale_derp" not in generate_latest(held.telemetry.registry).decode()


async def test_keys_survive_a_restart(registry: FakeRegistry, channel: LocalChannel, tmp_path: Path) -> None:
    seen = []
    for _ in range(2):
        service = await running(tmp_path, channel)
        async with asyncio.timeout(DEADLINE):
            seen.append(((await registry.announced.get()).cert_name, service.server.identity.public))
        await service.stop()
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("hostname", "name", "ipv4", "ipv6"),
    [
        ("relay.example.com", "900-relay.example.com", "", ""),
        ("192.0.2.1", "900-192.0.2.1", "192.0.2.1", "none"),
        ("2001:db8::1", "900-2001-db8--1", "none", "2001:db8::1"),
        ("", "900-192.0.2.7", "192.0.2.7", "none"),
    ],
)
async def test_the_announcement_names_what_the_host_name_says(
    registry: FakeRegistry, channel: LocalChannel, tmp_path: Path, hostname: str, name: str, ipv4: str, ipv6: str
) -> None:
    service = await running(tmp_path, channel, hostname=hostname)
    async with asyncio.timeout(DEADLINE):
        relay = await registry.announced.get()
    assert (relay.name, relay.ipv4, relay.ipv6) == (name, ipv4, ipv6)
    await service.stop()


async def test_a_replaced_certificate_is_taken_for_new_connections_and_announced(
    channel: LocalChannel,
    registry: FakeRegistry,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(announcing, "ANNOUNCE_EVERY", 0.01)
    first = self_signed(tmp_path / "first", "127.0.0.1", key(1), datetime.now(UTC))
    cert, secret = tmp_path / "own.crt", tmp_path / "own.key"
    cert.write_bytes((tmp_path / "first" / "derp_tls.crt").read_bytes())
    secret.write_bytes(first.key_path.read_bytes())
    config = settings(tmp_path, tls_cert_path=cert, tls_key_path=secret, verify_clients=False)
    reloader = Reloader(config, lambda: config)
    service = await build(config, replace(deps(channel), reloader=reloader))
    await service.start()
    await registry.announcement_of(first.cert_name)
    second = self_signed(tmp_path / "second", "127.0.0.1", key(1), datetime.now(UTC))
    secret.write_bytes(second.key_path.read_bytes())
    cert.write_bytes(b"half written")
    await reloader.reload()
    assert "replaced certificate cannot be used, keeping the old one" in caplog.text
    async with client(service.server.tls_port, pin=first.cert_name) as line:
        await line.settle()
    cert.write_bytes((tmp_path / "second" / "derp_tls.crt").read_bytes())
    await reloader.reload()
    async with client(service.server.tls_port, pin=second.cert_name) as line:
        await line.settle()
    await registry.announcement_of(second.cert_name)
    await service.stop()


def test_a_certificate_of_an_authority_is_not_pinned(tmp_path: Path) -> None:
    authority, secret = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("authority", "relay.example.com")]
    leaf = x509.CertificateBuilder(*names, secret.public_key(), 7, now, now + timedelta(days=1)).sign(
        authority, SHA256()
    )
    (tmp_path / "c").write_bytes(leaf.public_bytes(Encoding.PEM))
    (tmp_path / "k").write_bytes(secret.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    made = configured(tmp_path, tmp_path / "c", tmp_path / "k", key(1), now)
    assert made.cert_name == ""
    tls_context(made)


@pytest.mark.parametrize(
    "changes",
    [
        {"hostname": "bücher.example"},
        {"private_key_path": Path("/proc/version")},
        {"tls_cert_path": Path("/nonexistent/c"), "tls_key_path": Path("/nonexistent/k")},
    ],
)
async def test_files_and_names_that_cannot_be_used_are_named(
    channel: LocalChannel, tmp_path: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=r"derp\.server\."):
        await build(settings(tmp_path, **changes), deps(channel))


@pytest.mark.parametrize(
    "changes",
    [
        {"mesh_key": "abc"},
        {"mesh_with": ("https://b",)},
        {"mesh_key": "00" * 32, "mesh_with": ("ftp://b",)},
    ],
)
async def test_settings_that_cannot_be_used_are_named(
    channel: LocalChannel, tmp_path: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match=r"derp\.server\.mesh_"):
        await build(settings(tmp_path, **changes), deps(channel))


def test_limits_have_tailscales_values() -> None:
    assert (Limits().handshake_seconds, Limits().stall_seconds, Limits().mesh_stall_seconds) == (10.0, 2.0, 30.0)
