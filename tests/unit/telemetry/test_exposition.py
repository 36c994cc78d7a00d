"""The metrics server, and those who talk nonsense to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from services.shared.telemetry import Telemetry
from services.shared.telemetry.exposition import MetricsServer


@pytest.fixture
async def port() -> AsyncIterator[int]:
    registry = CollectorRegistry()
    Counter("things", "Things.", registry=registry).inc()
    server = MetricsServer(registry, lambda: False)
    yield await server.start("127.0.0.1:0")
    await server.stop()


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(10):
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
        (b"\x00\xff\r\n\r\n", b"405", b"only GET"),
    ],
)
async def test_each_request_gets_its_answer(port: int, request_: bytes, status: bytes, body: bytes) -> None:
    answer = await ask(port, request_)
    assert answer.split()[1] == status
    assert body in answer


async def test_head_gets_no_body(port: int) -> None:
    assert (await ask(port, b"HEAD /metrics HTTP/1.1\r\n\r\n")).endswith(b"\r\n\r\n")


async def test_an_endless_head_is_cut(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\n" + b"x" * 100_000)
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()


def test_metrics_shared_by_many_parts_are_made_once() -> None:
    telemetry = Telemetry()
    make = lambda registry: Counter("a", "A.", registry=registry)  # noqa: E731
    assert telemetry.once(make) is telemetry.once(make)
