"""The application of the open web: what it answers itself, and what it leaves to FastAPI."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp

from gateway.public import app as public
from gateway.public.app import build_app
from gateway.web import GET, POST, READ, Route, Routes


class Loads:
    """Counts how often FastAPI is loaded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._load = public._framework
        monkeypatch.setattr(public, "_framework", self.load)

    def load(self, routes: Sequence[Route]) -> ASGIApp:
        self.count += 1
        return self._load(routes)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> Loads:
    return Loads(monkeypatch)


@pytest.fixture
def web() -> httpx.AsyncClient:
    direct, pages = Routes(direct=True), Routes()

    @direct.on("/health", READ)
    async def health(_request: Request) -> Response:
        return PlainTextResponse("fine")

    @direct.on("/verify", POST)
    async def verify(request: Request) -> Response:
        return PlainTextResponse(await request.body())

    @direct.on("/broken", GET)
    async def broken(_request: Request) -> Response:
        raise RuntimeError

    @pages.on("/register/{name}")
    async def register(name: str) -> Response:
        return PlainTextResponse(name)

    transport = httpx.ASGITransport(app=build_app([direct, pages]), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://x")


async def test_direct_routes_and_unknown_paths_are_answered_without_fastapi(
    web: httpx.AsyncClient, loads: Loads
) -> None:
    answers = [
        await web.get("/health"),
        await web.head("/health"),
        await web.post("/verify", content=b"body"),
        await web.get("/broken"),
        await web.get("/wp-login.php"),
        await web.get("/"),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 500, 404, 404]
    assert [answer.text for answer in answers[2:5]] == ["body", "internal error\n", "not found\n"]
    assert loads.count == 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/register/a", 200),
        ("POST", "/health", 405),
        ("PUT", "/verify", 405),
        ("GET", "/register", 404),
        ("GET", "/register/a/b", 404),
        ("GET", "/health/", 307),
    ],
)
async def test_what_is_not_direct_is_left_to_fastapi(
    web: httpx.AsyncClient, loads: Loads, method: str, path: str, status: int
) -> None:
    assert (await web.request(method, path)).status_code == status
    assert loads.count == 1


async def test_requests_that_come_together_load_fastapi_once(web: httpx.AsyncClient, loads: Loads) -> None:
    answers = await asyncio.gather(*(web.get(f"/register/{number}") for number in range(8)))
    assert [answer.text for answer in answers] == [str(number) for number in range(8)]
    assert loads.count == 1
