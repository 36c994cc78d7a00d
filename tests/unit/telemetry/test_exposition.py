"""The metrics server, and those who talk nonsense to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from services.shared.telemetry import Telemetry, metrics_listener
from services.shared.telemetry.exposition import Exposition
from services.shared.telemetry.metrics_listener import MetricsListener


@pytest.fixture
async def port() -> AsyncIterator[int]:
    registry = CollectorRegistry()
    Counter("things", "Things.", registry=registry).inc()
    server = MetricsListener(Exposition(registry, lambda: False))
    yield await server.start("127.0.0.1:0")
    await server.stop()


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = b""
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("request_", "status", "body"),
    [
        (b"GET /metrics HTTP/1.1\r\n\r\n", b"200", b"things_total 1.0"),
        (b"GET /metrics?x=1 HTTP/1.1\r\n\r\n", b"200", b"things_total 1.0"),
        (b"GET /health HTTP/1.1\r\n\r\n", b"503", b"not ready"),
        (b"GET / HTTP/1.1\r\n\r\n", b"404", b"see /metrics"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405", b"only GET"),
        (b"\x00\xff\r\n\r\n", b"400", b"invalid http request"),
        (b"GET /\xff HTTP/1.1\r\n\r\n", b"400", b"invalid http request"),
        (b"GET /metrics HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", b"200", b"things_total 1.0"),
        (b"GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text\r\n\r\n", b"200", b"# EOF"),
        (b"GET /metrics HTTP/1.1\r\nAccept-Encoding: gzip\r\n\r\n", b"200", b"gzip"),
        (b"GET /health HTTP/1.1\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n", b"503", b"not ready\n"),
    ],
)
async def test_each_request_gets_its_answer(port: int, request_: bytes, status: bytes, body: bytes) -> None:
    answer = await ask(port, request_)
    assert answer.split()[1] == status
    assert body in answer and answer.count(b"HTTP/1.1") == 1 and b"connection: close" in answer.lower()


async def test_head_gets_no_body(port: int) -> None:
    assert (await ask(port, b"HEAD /metrics HTTP/1.1\r\n\r\n")).endswith(b"\r\n\r\n")


async def test_an_endless_head_is_cut(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\n" + b"x" * 100_000)
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()


async def test_a_head_that_does_not_end_in_time_is_cut(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_listener, "_HEAD_DEADLINE", 0.05)
    assert await ask(port, b"GET /metrics HTTP/1.1\r\n") == b""


async def test_few_connections_are_open_at_once(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_listener, "_MAX_CONNECTIONS", 2)
    waiting = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    assert await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n") == b""
    for _, writer in waiting:
        writer.close()
        await writer.wait_closed()
    async with asyncio.timeout(10):
        while b"things_total" not in await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n"):
            pass


def test_metrics_shared_by_many_parts_are_made_once() -> None:
    telemetry = Telemetry()
    make = lambda registry: Counter("a", "A.", registry=registry)  # noqa: E731
    assert telemetry.once(make) is telemetry.once(make)
