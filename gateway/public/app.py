"""The public web as one ASGI application: direct routes, and FastAPI with all routes once a request needs it.

Clients, probes and scanners ask for few fixed paths. FastAPI and what it imports take 13 MiB and up to half a second of
CPU, so it is loaded, in a thread, by the first request for one of the other paths.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from gateway.public.headers import SecurityHeaders
from gateway.public.measured import HttpMetrics, Measured
from gateway.public.proxies import ClientAddress
from gateway.web import Route, Routes

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gateway.proxies import Network


def build_app(
    routers: Sequence[Routes], trusted_proxies: Sequence[Network] = (), metrics: HttpMetrics | None = None
) -> ASGIApp:
    """Return the application of all routers; the first that has a path answers it."""
    app = Front([route for router in routers for route in router])
    # Innermost, because the route that a request takes is noted in the scope that the application is handed.
    measured = app if metrics is None else Measured(app, metrics)
    return SecurityHeaders(ClientAddress(measured, trusted_proxies))


class Front:
    """ASGI application that answers direct routes, and 404 to unknown paths, itself; FastAPI answers the rest."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.routes = routes
        self._direct = {(method, route.path): route for route in routes if route.direct for method in route.methods}
        self._roots = {_root(route.path) for route in routes}
        self._app: ASGIApp | None = None
        self._loading = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if (route := self._direct.get((scope["method"], scope["path"]))) is not None:
            scope["route"] = route
            await _answer(route, scope, receive, send)
        elif _root(scope["path"]) not in self._roots:
            await PlainTextResponse("not found\n", 404)(scope, receive, send)
        else:
            await (self._app or await self._load())(scope, receive, send)

    async def _load(self) -> ASGIApp:
        async with self._loading:
            if self._app is None:
                self._app = await asyncio.to_thread(_framework, self.routes)
        return self._app


def _framework(routes: Sequence[Route]) -> ASGIApp:
    from gateway.public.framework import application  # late: see above

    return application(routes)


def _root(path: str) -> str:
    """Return the first segment of a path."""
    return path.lstrip("/").partition("/")[0]


async def _answer(route: Route, scope: Scope, receive: Receive, send: Send) -> None:
    """Let a direct route answer, with the answers to errors of `gateway.public.framework`."""
    begun = False

    async def noting(message: Message) -> None:
        nonlocal begun
        begun = True
        await send(message)

    try:
        response = await route.endpoint(Request(scope, receive))
        await response(scope, receive, noting)
    except ClientDisconnect:
        if not begun:
            await Response(status_code=400)(scope, receive, send)
    except Exception:
        if not begun:
            await PlainTextResponse("internal error\n", 500)(scope, receive, send)
        raise
