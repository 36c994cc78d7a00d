"""`headscale doctor` beside a running server, and in front of what stands in the way of clients."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cli.doctor import clock, inside, outside, relay
from services.auth.doctor import DoctorReport, Finding
from services.derp.stun import answer
from services.shared.config.model import Config
from services.shared.config.tailnet import DerpConfig, DerpServerConfig
from tests.fakes.ports import free_port
from tests.fakes.shell import Shell
from tests.fakes.tailnet import Tailnet, config_in, tailnet_in

Change = Callable[[bytes], bytes]


@pytest.fixture
async def tailnet(tmp_path: Path) -> AsyncIterator[Tailnet]:
    async with tailnet_in(tmp_path) as running:
        yield running


def seen(config: Config, tailnet: Tailnet, url: str = "") -> Config:
    """The configuration as clients see the server: at its own port, or at another address."""
    place = tailnet.url.removeprefix("http://")
    return replace(config, server_url=url or tailnet.url, listen_addr=place)


async def run(examine: Callable[[Config], DoctorReport], config: Config) -> list[Finding]:
    return (await asyncio.to_thread(examine, config)).findings


def levels(findings: list[Finding], check: str) -> list[str]:
    return [finding.level.value for finding in findings if finding.check == check]


@asynccontextmanager
async def proxy(target: str, change: Change) -> AsyncIterator[str]:
    """A reverse proxy that changes the head of each request; its URL."""
    host, _, port = target.removeprefix("http://").partition(":")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = change(await reader.readuntil(b"\r\n\r\n"))
        back, forth = await asyncio.open_connection(host, int(port))
        forth.write(head)
        await asyncio.gather(pump(reader, forth), pump(back, writer), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def without_upgrade(head: bytes) -> bytes:
    return re.sub(rb"(?i)(upgrade|connection): [^\r]*\r\n", b"", head)


async def test_a_server_that_is_reached_is_well(tailnet: Tailnet, tmp_path: Path) -> None:
    config = seen(config_in(tmp_path), tailnet)
    findings = await run(outside.examine, config)
    assert levels(findings, "key") == levels(findings, "upgrade") == levels(findings, "answer") == ["OK"], findings
    local = await run(inside.examine, replace(config, derp=DerpConfig(server=DerpServerConfig(enabled=False))))
    assert {finding.level.value for finding in local} == {"OK"}, local


async def test_a_proxy_that_takes_the_upgrade_away_is_named(tailnet: Tailnet, tmp_path: Path) -> None:
    async with proxy(tailnet.url, without_upgrade) as url:
        findings = await run(outside.examine, seen(config_in(tmp_path), tailnet, url))
    (found,) = [finding for finding in findings if finding.check == "upgrade"]
    assert found.level.value == "FAIL" and found.text.startswith("a proxy took the Upgrade header away")
    assert "Behind a reverse proxy" in found.remedy
    assert levels(findings, "key") == ["OK"]


async def test_a_name_that_leads_to_another_server_is_named(tailnet: Tailnet, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    async with tailnet_in(other) as stranger:
        findings = await run(outside.examine, seen(config_in(tmp_path), tailnet, stranger.url))
    (found,) = [finding for finding in findings if finding.check == "key"]
    assert found.level.value == "FAIL" and "another server" in found.text


async def test_what_is_no_control_server_is_named(tailnet: Tailnet, tmp_path: Path) -> None:
    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi")
        writer.close()

    async with await asyncio.start_server(page, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        findings = await run(outside.examine, seen(config_in(tmp_path), tailnet, url))
    assert levels(findings, "key") == levels(findings, "upgrade") == ["FAIL"]


async def test_a_port_of_the_configuration_that_nobody_serves_fails(tailnet: Tailnet, tmp_path: Path) -> None:
    closed = replace(config_in(tmp_path), listen_addr=f"127.0.0.1:{free_port()}")
    findings = await run(inside.examine, closed)
    assert "FAIL" in levels(findings, "listeners") and levels(findings, "health") == ["FAIL"]


async def test_a_damaged_database_fails(tmp_path: Path) -> None:
    (tmp_path / "db.sqlite").write_bytes(b"SQLite format 3\x00" + b"\xff" * 4096)
    findings = await run(inside.examine, config_in(tmp_path))
    assert levels(findings, "database") == ["FAIL"]


def relaying(**server: object) -> Config:
    chosen = DerpServerConfig(hostname="127.0.0.1", **server)  # type: ignore[arg-type]
    return Config(server_url="http://hs.example.net", derp=DerpConfig(server=chosen))


class Stun(asyncio.DatagramProtocol):
    """Answers as our relay does, or with garbage."""

    def __init__(self, garbage: bool) -> None:
        self._garbage = garbage

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        told = answer(data, socket.inet_aton(address[0]), address[1])
        assert told is not None
        self._transport.sendto(told[:8] + bytes(12) if self._garbage else told, address)


@pytest.mark.parametrize(("garbage", "level"), [(False, "OK"), (True, "FAIL")])
async def test_stun_is_asked_as_a_client_asks(garbage: bool, level: str) -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Stun(garbage), ("127.0.0.1", 0))
    place = "127.0.0.1:{}".format(transport.get_extra_info("sockname")[1])
    findings = await run(relay.examine, relaying(listen_addr="", stun_listen_addr=place))
    transport.close()
    assert levels(findings, "stun") == [level]


async def test_a_relay_that_does_not_answer_fails() -> None:
    findings = await run(relay.examine, relaying(listen_addr=f"127.0.0.1:{free_port()}", stun_listen_addr=""))
    assert levels(findings, "relay") == ["FAIL"] and "connection refused" in findings[0].text


@pytest.mark.parametrize(("ahead", "level"), [(0, "OK"), (3600, "FAIL"), (-3600, "FAIL")])
async def test_the_clock_is_compared_with_one_elsewhere(ahead: int, level: str) -> None:
    import time
    from email.utils import formatdate

    async def dated(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\nDate: {formatdate(time.time() + ahead, usegmt=True)}\r\n\r\n".encode())
        writer.close()

    async with await asyncio.start_server(dated, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/map"
        findings = await run(clock.examine, Config(server_url="http://x", derp=DerpConfig(urls=(url,))))
    assert levels(findings, "clock") == [level]


async def test_the_program_ends_with_status_1_where_a_check_fails(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        (tmp_path / "config.yaml").write_text(
            f"server_url: http://127.0.0.1:{free_port()}\nlisten_addr: 127.0.0.1:{taken.getsockname()[1]}\n"
            f"state_dir: {tmp_path}\nunix_socket: {tmp_path}/no.sock\n"
            f"noise: {{private_key_path: {tmp_path}/noise.key}}\n"
            f"database: {{type: sqlite, sqlite: {{path: {tmp_path}/db.sqlite}}}}\nmetrics_listen_addr: ''\n"
            f"derp: {{server: {{enabled: true, listen_addr: '127.0.0.1:{free_port()}', stun: {{enabled: false}}}}}}\n"
            "dns: {base_domain: tail.internal}\n"
        )
        told = await Shell(tmp_path)("doctor")
    assert told.status == 1
    assert "checks failed" in told.err
    assert re.search(r"FAIL +configuration .*listen_addr", told.out), told.out
    assert "remedy: " in told.out
