"""What the open web counts: routes, never what strangers make up."""

from __future__ import annotations

import httpx
from prometheus_client import CollectorRegistry
from starlette.responses import Response

from gateway.proxies import parse_networks
from gateway.public.app import build_app
from gateway.public.measured import HttpMetrics
from gateway.web import Routes


async def test_requests_are_counted_by_route_also_behind_a_proxy() -> None:
    router = Routes()

    @router.on("/node/{number}")
    async def node(number: str) -> Response:
        return Response(number)

    @router.on("/broken")
    async def broken() -> Response:
        raise RuntimeError

    registry = CollectorRegistry()
    app = build_app([router], parse_networks(["127.0.0.0/8"]), HttpMetrics(registry))
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as web:
        for path in ("/node/1", "/node/2", "/made/up/1", "/made/up/2", "/broken"):
            await web.get(path)
        await web.request("BREW", "/made/up")

    def counted(code: str, method: str, path: str) -> float | None:
        return registry.get_sample_value("http_requests_total", {"code": code, "method": method, "path": path})

    assert counted("200", "GET", "/node/{number}") == 2
    assert counted("404", "GET", "other") == 2
    assert counted("404", "other", "other") == 1
    assert counted("500", "GET", "/broken") == 1
