"""A certificate that is replaced on disk is taken into use at every listener; a bad replacement keeps the old one."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import pytest
from cryptography import x509

from services.shared.certificates import watched
from services.shared.certificates.pairs import PairError
from services.shared.certificates.watched import WatchedPair, Watcher
from services.shared.net.tls import over_tls
from services.shared.telemetry.setup import Telemetry
from tests.fakes.certificates import any_certificate, issue


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return issue("one.example").write(tmp_path)


def replace(folder: Path, name: str, *, key: bool = True) -> None:
    """Write another pair over the first, or its certificate alone."""
    other = issue(name)
    if key:
        other.write(folder)
    else:
        (folder / "server.pem").write_bytes(other.pem())


class _Silent(asyncio.Protocol):
    """Says nothing."""


@asynccontextmanager
async def listening(pair: WatchedPair) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(over_tls(_Silent, pair.context), "127.0.0.1", 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


async def shown(port: int, *protocols: str) -> str:
    """The name in the certificate that a listener shows."""
    context = any_certificate()
    if protocols:
        context.set_alpn_protocols(protocols)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    leaf = x509.load_der_x509_certificate(der)
    return str(leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value[0].value)


async def test_new_connections_are_given_what_stands_in_the_files(files: tuple[Path, Path], tmp_path: Path) -> None:
    pair = WatchedPair(*files)
    async with listening(pair) as port:
        assert not pair.refresh()
        replace(tmp_path, "two.example")
        assert await shown(port) == "one.example"
        assert pair.refresh()
        assert await shown(port) == "two.example"


@pytest.mark.parametrize("harm", ["other key", "no certificate", "gone", "empty"])
async def test_a_replacement_that_cannot_be_used_keeps_the_old_one_and_is_said_once(
    files: tuple[Path, Path], tmp_path: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    pair = WatchedPair(*files)
    async with listening(pair) as port:
        match harm:
            case "other key":
                replace(tmp_path, "two.example", key=False)
            case "no certificate":
                files[0].write_text("x")
            case "gone":
                files[1].unlink()
            case "empty":
                files[1].write_text("")
        assert not pair.refresh() and not pair.refresh()
        assert await shown(port) == "one.example"
        assert [record.message for record in caplog.records] == [
            "replaced certificate cannot be used, keeping the old one"
        ]
        replace(tmp_path, "three.example")
        assert pair.refresh()
        assert await shown(port) == "three.example"


def test_a_pair_that_cannot_be_used_is_refused_at_the_start(files: tuple[Path, Path], tmp_path: Path) -> None:
    replace(tmp_path, "two.example", key=False)
    with pytest.raises(PairError, match="does not belong to the certificate"):
        WatchedPair(*files)


async def test_grpc_listeners_follow_too(files: tuple[Path, Path], tmp_path: Path) -> None:
    pair = WatchedPair(*files)
    server = grpc.aio.server()
    port = server.add_secure_port("127.0.0.1:0", pair.credentials())
    await server.start()
    try:
        assert await shown(port, "h2") == "one.example"
        replace(tmp_path, "two.example")
        pair.refresh()
        assert await shown(port, "h2") == "two.example"
        replace(tmp_path, "three.example", key=False)
        pair.refresh()
        assert await shown(port, "h2") == "two.example"
    finally:
        await server.stop(None)


def test_key_and_chain_may_be_in_one_file(tmp_path: Path) -> None:
    certificate, key = issue("one.example").write(tmp_path)
    both = tmp_path / "both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    assert WatchedPair(both, both).leaf.names == ("one.example",)
    assert isinstance(WatchedPair(both, both).context, ssl.SSLContext)


async def test_a_check_that_fails_unexpectedly_is_an_error_and_the_next_one_still_comes(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watched, "POLL", 0.0)
    again, telemetry = asyncio.Event(), Telemetry()
    checks = 0

    def refresh() -> None:
        nonlocal checks
        checks += 1
        if checks == 1:
            raise RuntimeError("no such disk")
        again.set()

    watcher = Watcher(refresh, telemetry)
    watcher.start()
    async with asyncio.timeout(10):
        await again.wait()
    await watcher.stop()
    count = telemetry.registry.get_sample_value
    assert count("smartscale_background_failures_total", {"task": "certificate files"}) == 1
    assert count("smartscale_background_tasks") == 0
    assert [record.levelname for record in caplog.records] == ["ERROR"]
