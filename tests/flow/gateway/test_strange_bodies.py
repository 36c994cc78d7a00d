"""Bodies that are cut off, too large, or of another type than said: on no public path do they cause a traceback."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.tailnet import Tailnet, config_in, tailnet_in

VERBS = ("GET", "POST", "PUT", "DELETE")
AT_ONCE = 16
TYPES = (
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "text/plain; charset=nonsense",
    "\xff",
)
BODIES = (
    b"",
    b"\xff\xfe\x00",
    b"[" * 20_000,
    b'{"NodePublic": {"a": ' * 2000,
    b'{"NodePublic": 1e400, "policy": ["\\ud800"]}',
    b"a=%ff%fe&a=b&" * 1000,
    b'--x\r\nContent-Disposition: form-data; name="a"; filename="\xff"\r\n\r\n',
    b"--x--",
)
CUT_OFF = 100
"""Bytes that a cut-off body promises; it has ten."""


@pytest.fixture
async def tailnet(tmp_path: Path) -> AsyncIterator[Tailnet]:
    async with tailnet_in(tmp_path, config_in(tmp_path, admin_calls_per_second=100_000)) as running:
        yield running


def paths_of(tailnet: Tailnet) -> list[str]:
    """Every path that the open web has, its parameters filled in."""
    app: Any = tailnet.gateway._web._app
    while not hasattr(app, "routes"):
        app = app._app
    found = sorted(set(declared(app)))
    assert {"/verify", "/key", "/register/{auth_id}"} <= set(found)
    return [filled(path) for path in found]


def declared(owner: Any) -> Iterator[str]:
    """The paths of an application or a router, and of those that it includes."""
    for route in owner.routes:
        if path := getattr(route, "path", ""):
            yield str(path)
        included = getattr(route, "original_router", None) or getattr(route, "router", None)
        if included is not None:
            yield from declared(included)


def filled(path: str) -> str:
    return "/".join("1" if part.startswith("{") else part for part in path.split("/"))


def requests(path: str) -> Iterator[tuple[bytes, bool]]:
    """Strange requests to a path, and whether the connection may end without an answer."""
    for verb in VERBS:
        head = f"{verb} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode()
        for kind in TYPES if verb == "POST" else TYPES[:1]:
            typed = head + b"Content-Type: " + kind.encode("latin-1") + b"\r\n"
            yield typed + f"Content-Length: {CUT_OFF}\r\n\r\n0123456789".encode(), True
            yield typed + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc", True
        for body in BODIES if verb == "POST" else BODIES[1:3]:
            kind = TYPES[len(body) % len(TYPES)].encode("latin-1")
            yield head + b"Content-Type: " + kind + f"\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body, False
    large = 6 << 20
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {large}\r\n\r\n".encode()
    yield head + bytes(large), True


async def answer(port: int, request: bytes, cut_off: bool = False) -> bytes:
    """What comes back until the server closes; a request that is cut off ends with this side's end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    found = b""
    with contextlib.suppress(ConnectionError):
        writer.write(request)
        if cut_off and len(request) < 1 << 20:
            writer.write_eof()
        async with asyncio.timeout(20):
            found = await reader.read()
    writer.close()
    return found


async def test_no_body_causes_a_traceback_or_an_internal_error(
    tailnet: Tailnet, caplog: pytest.LogCaptureFixture
) -> None:
    port = tailnet.gateway.port
    room = asyncio.Semaphore(AT_ONCE)

    async def is_refused(request: bytes, cut_off: bool) -> None:
        async with room:
            found = await answer(port, request, cut_off)
        status = found.split(b" ", 2)[1:2]
        assert status or cut_off, request[:200]
        assert not status or status[0] < b"500" or status == [b"501"], (request[:200], found[:200])

    for path in paths_of(tailnet):
        await asyncio.gather(*(is_refused(*request) for request in requests(path)))
        told = [record for record in caplog.records if record.exc_info or record.levelname in ("ERROR", "CRITICAL")]
        assert not told, (path, told)
    assert (await answer(port, b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).split()[1] == b"200"
