"""Several relays as one region: packets, presence, and links that come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.derp import frames
from services.derp.certificate import self_signed, tls_context
from services.derp.client_admission import OpenAdmission
from services.derp.identity import load_identity
from services.derp.mesh import Mesh, MeshTarget
from services.derp.server import DerpServer, ServerSettings
from services.shared.runtime.clock import SystemClock
from tests.fakes.derp import disco_packet
from tests.fakes.derp_client import DEADLINE, client

MESH = bytes(range(32))


@dataclass
class Relay:
    server: DerpServer
    mesh: Mesh
    pin: str

    @property
    def port(self) -> int:
        return self.server.http_port

    async def stop(self) -> None:
        await self.mesh.stop()
        await self.server.stop()


async def start(path: Path, *others: str, port: int = 0, key: bytes | None = MESH) -> Relay:
    clock = SystemClock()
    identity = load_identity(path / "derp.key", key)
    certificate = self_signed(path, "127.0.0.1", identity.public, datetime.now(UTC))
    settings = ServerSettings(hostname="127.0.0.1", http_address=f"127.0.0.1:{port}", tls_address="127.0.0.1:0")
    server = DerpServer(settings, identity, OpenAdmission(), clock, tls_context(certificate))
    mesh = Mesh(server.relay, identity, tuple(MeshTarget.parse(url) for url in others), clock)
    await server.start()
    mesh.start()
    return Relay(server, mesh, certificate.cert_name)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def link_to(relay: Relay) -> str:
    return f"https://127.0.0.1:{relay.server.tls_port}#{relay.pin}"


@pytest.fixture
async def region(tmp_path: Path) -> AsyncIterator[tuple[Relay, Relay]]:
    """Two relays: one link over TLS with a pin, one without TLS."""
    first = await start(tmp_path / "a")
    second = await start(tmp_path / "b", link_to(first))
    back = Mesh(
        first.server.relay, first.server.identity, (MeshTarget.parse(f"http://127.0.0.1:{second.port}"),), SystemClock()
    )
    first.mesh = back
    back.start()
    await until(lambda: len(first.mesh) == len(second.mesh) == 1)
    yield first, second
    await first.stop()
    await second.stop()


async def test_clients_of_two_relays_exchange_packets(region: tuple[Relay, Relay]) -> None:
    first, second = region
    async with client(first.port) as alice, client(second.port) as bob:
        await until(lambda: bob.key.raw in first.server.relay._forwarders)
        await until(lambda: alice.key.raw in second.server.relay._forwarders)
        alice.send(bob.key, b"over")
        assert await bob.packet() == (alice.key.raw, b"over")
        bob.send(alice.key, bytes(frames.MAX_PACKET))
        assert await alice.packet() == (bob.key.raw, bytes(frames.MAX_PACKET))


async def test_a_client_that_leaves_the_other_relay_is_gone_here(region: tuple[Relay, Relay]) -> None:
    first, second = region
    async with client(first.port) as alice:
        async with client(second.port) as bob:
            await until(lambda: alice.key.raw in second.server.relay._forwarders)
            bob.send(alice.key, b"hi")
            await alice.packet()
        assert (await alice.next(frames.PEER_GONE)).payload == bob.key.raw + b"\x00"
        alice.send(bob.key, disco_packet())
        assert (await alice.next(frames.PEER_GONE)).payload == bob.key.raw + b"\x01"


async def test_a_link_comes_back_after_the_other_relay_restarted(tmp_path: Path) -> None:
    other = await start(tmp_path / "b")
    port = other.port
    ours = await start(tmp_path / "a", f"http://127.0.0.1:{port}")
    await until(lambda: len(ours.mesh) == 1)
    await other.stop()
    await until(lambda: len(ours.mesh) == 0)
    other = await start(tmp_path / "b", port=port)
    await until(lambda: len(ours.mesh) == 1)
    async with client(ours.port) as alice, client(other.port) as bob:
        await until(lambda: bob.key.raw in ours.server.relay._forwarders)
        alice.send(bob.key, b"again")
        assert await bob.packet() == (alice.key.raw, b"again")
    await ours.stop()
    await other.stop()


async def test_a_list_that_names_the_relay_itself_or_another_twice_makes_one_link_each(tmp_path: Path) -> None:
    other = await start(tmp_path / "b")
    ours = await start(tmp_path / "a")
    targets = [f"http://127.0.0.1:{ours.port}", f"http://127.0.0.1:{other.port}", link_to(other), link_to(ours)]
    ours.mesh = Mesh(
        ours.server.relay, ours.server.identity, tuple(MeshTarget.parse(url) for url in targets), SystemClock()
    )
    ours.mesh.start()
    await until(lambda: len(ours.mesh) == 1 and len(ours.mesh._links) == 4)
    await until(lambda: ours.server.connections == 0)
    assert other.server.relay.watchers == 1
    await ours.stop()
    await other.stop()


@pytest.mark.statement(124)
async def test_a_relay_with_another_mesh_key_gets_no_link(tmp_path: Path) -> None:
    other = await start(tmp_path / "b", key=bytes(32))
    ours = await start(tmp_path / "a", f"http://127.0.0.1:{other.port}")
    await until(lambda: other.server.refusals.protocol >= 2)
    assert other.server.relay.watchers == 0
    assert ours.server.relay.remote_keys == 0
    await ours.stop()
    await other.stop()


async def test_a_relay_with_another_certificate_never_sees_our_login(tmp_path: Path) -> None:
    other = await start(tmp_path / "b")
    wrong = f"https://127.0.0.1:{other.server.tls_port}#sha256-raw:{'00' * 32}"
    ours = await start(tmp_path / "a", wrong)
    await until(lambda: len(ours.mesh._links) == 1)
    accepted = other.server.relay.counters.accepts
    await until(lambda: other.server.connections == 0)
    assert (accepted, len(ours.mesh)) == (0, 0)
    await ours.stop()
    await other.stop()


async def test_any_client_with_the_mesh_key_sees_the_region(region: tuple[Relay, Relay]) -> None:
    first, _ = region
    async with client(first.port) as alice, client(first.port, mesh_key=MESH) as watcher:
        watcher.writer.write(frames.WATCH_CONNS_FRAME)
        seen = {(await watcher.next(frames.PEER_PRESENT)).payload[:32] for _ in range(3)}
        assert {alice.key.raw, watcher.key.raw} <= seen
        watcher.writer.write(frames.frame(frames.CLOSE_PEER, alice.key.raw))
        await alice.ended()
