"""The public web as one ASGI application: its routers, and the answers to errors that no route handles."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp

from gateway.proxies import Network
from gateway.public.headers import SecurityHeaders
from gateway.public.measured import HttpMetrics, Measured
from gateway.public.proxies import ClientAddress
from gateway.web import Routes
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)


def build_app(
    routers: Sequence[Routes], trusted_proxies: Sequence[Network] = (), metrics: HttpMetrics | None = None
) -> ASGIApp:
    """Return the application of all routers; the first that has a path answers it."""
    app = FastAPI(
        title="smartscale",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        exception_handlers={HTTPException: _refuse, ClientDisconnect: _end, Exception: _apologise},
    )
    for router in routers:
        app.include_router(router)
    # Innermost, because the route that a request takes is noted in the scope that the application is handed.
    measured = app if metrics is None else Measured(app, metrics)
    return SecurityHeaders(ClientAddress(measured, trusted_proxies))


async def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return PlainTextResponse(f"{str(error.detail).lower()}\n", error.status_code, error.headers)


async def _end(_request: Request, _error: Exception) -> Response:
    # The client has gone and reads no answer; without a handler the server logs a traceback for each.
    return Response(status_code=400)


async def _apologise(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse("internal error\n", 500)
