"""A relay from inside: hostile frames, bounds, admission, notices, the end. Its doors are in test_derp_doors."""

from __future__ import annotations

import asyncio
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.derp import frames, handshake
from services.derp.certificate import self_signed
from services.derp.client_admission import OpenAdmission
from services.derp.connection import Limits
from services.derp.identity import load_identity
from services.derp.server import DerpServer, ServerSettings
from services.shared.keys import PrivateKey
from services.shared.runtime.clock import SystemClock
from tests.fakes import derp_server
from tests.fakes.derp import disco_packet, key, login_frame, private
from tests.fakes.derp_client import DEADLINE, RelayClient, client, open_raw, upgrade
from tests.fakes.derp_server import (
    WARNINGS,
    ListAdmission,
    Running,
    build,
    until,
)

pytestmark = WARNINGS
event_loop_policy = derp_server.event_loop_policy
running = derp_server.running


@pytest.mark.statement(125)
@pytest.mark.parametrize(
    "hostile",
    [
        frames.header(frames.SEND_PACKET, 32 + frames.MAX_PACKET + 1),
        frames.header(0x99, 0xFFFFFFFF),
        frames.frame(frames.NOTE_PREFERRED, b"\x07"),
        pytest.param(frames.WATCH_CONNS_FRAME, marks=pytest.mark.statement(124)),
        pytest.param(frames.frame(frames.CLOSE_PEER, bytes(32)), marks=pytest.mark.statement(124)),
        pytest.param(frames.forward_packet(bytes(32), bytes(32), b""), marks=pytest.mark.statement(124)),
    ],
)
async def test_a_hostile_frame_ends_its_connection_and_no_other(
    running: Running, hostile: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with client(running.server.http_port) as alice, client(running.server.http_port) as eve:
        eve.writer.write(hostile)
        await eve.ended()
        await alice.settle()
    assert running.server.refusals.protocol == 1
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_login_with_any_changed_byte_ends_the_connection(running: Running) -> None:
    good = login_frame(private(3), running.server.identity.public)
    for at in range(0, len(good), 7):
        reader, writer = await open_raw(running.server.http_port)
        await upgrade(reader, writer)
        writer.write(good[:at] + bytes((good[at] ^ 0x10,)) + good[at + 1 :])
        writer.write_eof()
        async with asyncio.timeout(DEADLINE):
            try:
                rest = await reader.read()
            except ConnectionResetError:
                rest = b""
        assert len(rest) <= 45
        writer.close()
    await until(lambda: running.server.connections == 0)
    assert len(running.server.relay) == 0


async def test_silent_connections_are_cut_off(tmp_path: Path) -> None:
    one = build(tmp_path, limits=Limits(handshake_seconds=0.2, tick_seconds=0.02))
    await one.server.start()
    plain = await open_raw(one.server.http_port)
    upgraded = await open_raw(one.server.http_port)
    await upgrade(*upgraded)
    half_tls = await open_raw(one.server.tls_port)
    half_tls[1].write(b"\x16\x03\x01")
    async with client(one.server.http_port) as alice:
        async with asyncio.timeout(DEADLINE):
            for reader, _ in (plain, upgraded, half_tls):
                with pytest.raises((EOFError, ConnectionResetError)):
                    while True:
                        await reader.readexactly(1)
        await until(lambda: one.server.connections == 1)
        await alice.settle()
    for _, writer in (plain, upgraded, half_tls):
        writer.close()
    await one.server.stop()


async def test_a_flood_of_silent_connections_pushes_out_only_its_own_kind(tmp_path: Path) -> None:
    one = build(tmp_path, limits=Limits(lobby=20))
    await one.server.start()
    async with client(one.server.http_port) as alice, client(one.server.tls_port, pin=one.pin) as bob:
        silent = [await open_raw(port) for port in (one.server.tls_port, one.server.http_port) * 60]
        async with client(one.server.tls_port, pin=one.pin) as late:
            late.send(alice.key, b"in time")
            assert await alice.packet() == (late.key.raw, b"in time")
            bob.send(alice.key, b"still here")
            assert await alice.packet() == (bob.key.raw, b"still here")
        assert one.server.waiting <= 20
        await until(lambda: one.server.connections <= 22)
        assert one.server.refusals.crowded_out >= 100
        for _, writer in silent:
            writer.close()
    await one.server.stop()


async def test_beyond_the_limit_connections_are_closed_at_once(tmp_path: Path) -> None:
    one = build(tmp_path, limits=Limits(connections=2))
    await one.server.start()
    async with client(one.server.http_port) as alice, client(one.server.http_port):
        reader, writer = await open_raw(one.server.http_port)
        async with asyncio.timeout(DEADLINE):
            assert await reader.read() == b""
        writer.close()
        await alice.settle()
    assert one.server.refusals.full == 1
    await one.server.stop()


async def test_a_client_that_reads_nothing_is_dropped_and_its_peers_are_told(tmp_path: Path) -> None:
    one = build(tmp_path, limits=Limits(stall_seconds=0.3, tick_seconds=0.05))
    await one.server.start()
    async with client(one.server.http_port) as alice, client(one.server.http_port) as slow:
        slow.send(alice.key, b"hi")
        await alice.packet()
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        packet = bytes(60_000)

        async def flood() -> None:
            while len(one.server.relay) == 2:
                alice.send(slow.key, packet)
                await alice.writer.drain()

        async with asyncio.timeout(30):
            await flood()
        assert (await alice.next(frames.PEER_GONE)).payload == slow.key.raw + b"\x00"
        assert one.server.refusals.stalled == 1
    await one.server.stop()


async def test_only_admitted_clients_come_in(tmp_path: Path) -> None:
    alice = private(3)
    admission = ListAdmission(handshake.public_key(alice))
    one = build(tmp_path, admission)
    await one.server.start()
    async with client(one.server.tls_port, pin=one.pin, private=alice) as line:
        await line.settle()
        assert admission.asked == [(line.key, "127.0.0.1")]
        with pytest.raises((EOFError, ConnectionResetError)):
            async with client(one.server.tls_port, pin=one.pin, private=private(4)):
                pytest.fail("a stranger came in")
    assert one.server.refusals.not_admitted == 1
    await one.server.stop()


async def test_what_a_client_sends_while_it_is_asked_about_is_kept(tmp_path: Path) -> None:
    alice = private(3)
    admission = ListAdmission(handshake.public_key(alice))
    admission.open.clear()
    one = build(tmp_path, admission)
    await one.server.start()
    reader, writer = await open_raw(one.server.http_port)
    await upgrade(reader, writer)
    line = RelayClient(reader, writer, alice)
    writer.write(login_frame(alice, one.server.identity.public) + frames.frame(frames.PING, b"12345678"))
    await until(lambda: admission.asked)
    writer.write(frames.frame(frames.PING, b"abcdefgh"))
    admission.open.set()
    await line.next(frames.SERVER_KEY)
    await line.next(frames.SERVER_INFO)
    assert [(await line.next(frames.PONG)).payload for _ in range(2)] == [b"12345678", b"abcdefgh"]
    writer.close()
    await one.server.stop()


async def test_a_client_that_goes_away_while_it_is_asked_about_leaves_nothing(tmp_path: Path) -> None:
    admission = ListAdmission()
    admission.open.clear()
    one = build(tmp_path, admission)
    await one.server.start()
    reader, writer = await open_raw(one.server.http_port)
    await upgrade(reader, writer)
    writer.write(login_frame(private(3), one.server.identity.public))
    await until(lambda: admission.asked)
    writer.transport.abort()
    admission.open.set()
    await until(lambda: one.server.connections == 0 or one.server.refusals.not_admitted == 1)
    assert len(one.server.relay) == 0
    await one.server.stop()


@pytest.mark.statement(120)
async def test_idle_clients_get_keep_alives(tmp_path: Path) -> None:
    one = build(tmp_path, keep_alive_seconds=0.01, limits=Limits(tick_seconds=0.01))
    one.server.relay._random = lambda: 0.0
    await one.server.start()
    async with client(one.server.http_port) as alice:
        for _ in range(3):
            assert (await alice.next(frames.KEEP_ALIVE)).payload == b""
    await one.server.stop()


async def test_peers_hear_when_a_client_is_gone_and_when_it_is_not_here(running: Running) -> None:
    async with client(running.server.http_port) as alice:
        async with client(running.server.http_port) as bob:
            bob.send(alice.key, b"hi")
            assert await alice.packet() == (bob.key.raw, b"hi")
        assert (await alice.next(frames.PEER_GONE)).payload == bob.key.raw + b"\x00"
        alice.send(key(9), disco_packet())
        assert (await alice.next(frames.PEER_GONE)).payload == key(9).raw + b"\x01"


async def test_clients_are_told_when_the_relay_stops(tmp_path: Path) -> None:
    one = build(tmp_path)
    await one.server.start()
    async with client(one.server.tls_port, pin=one.pin) as alice:
        await one.server.stop()
        assert len((await alice.next(frames.RESTARTING)).payload) == 8
        await alice.ended()


def test_the_key_and_the_certificate_are_kept_and_secret(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    first = load_identity(tmp_path / "derp.key", None)
    again = load_identity(tmp_path / "derp.key", None)
    assert first == again
    assert (tmp_path / "derp.key").read_text().startswith("privkey:")
    one = self_signed(tmp_path, "192.0.2.1", first.public, now)
    assert self_signed(tmp_path, "192.0.2.1", first.public, now).cert_name == one.cert_name
    assert self_signed(tmp_path, "192.0.2.2", first.public, now).cert_name != one.cert_name
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert set(modes.values()) == {0o600}


async def test_a_taken_port_is_an_error_of_the_start(running: Running, tmp_path: Path) -> None:
    taken = f"127.0.0.1:{running.server.http_port}"
    settings = ServerSettings(hostname="x", http_address=taken)
    other = DerpServer(settings, running.server.identity, OpenAdmission(), SystemClock())
    with pytest.raises(OSError):
        await other.start()


def test_private_keys_do_not_show_themselves() -> None:
    assert PrivateKey(bytes(32)).raw.hex() not in repr(PrivateKey(bytes(32)))
