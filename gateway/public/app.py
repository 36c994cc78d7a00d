"""The public web as one ASGI application: its routers, and the answers to errors that no route handles."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, FastAPI
from fastapi.responses import PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp

from gateway.proxies import Network
from gateway.public.headers import SecurityHeaders
from gateway.public.measured import HttpMetrics, Measured
from gateway.public.proxies import ClientAddress
from services.shared.telemetry.logs import get_logger

log = get_logger(__name__)


def build_app(
    routers: Sequence[APIRouter], trusted_proxies: Sequence[Network] = (), metrics: HttpMetrics | None = None
) -> ASGIApp:
    """The application of all routers; the first that has a path answers it."""
    app = FastAPI(title="smartscale", docs_url=None, redoc_url=None, openapi_url=None)
    for router in routers:
        app.include_router(router)

    @app.exception_handler(HTTPException)
    async def refuse(request: Request, error: HTTPException) -> PlainTextResponse:
        return PlainTextResponse(f"{str(error.detail).lower()}\n", error.status_code, error.headers)

    @app.exception_handler(ClientDisconnect)
    async def end(request: Request, error: ClientDisconnect) -> Response:
        # The body was cut off, so nobody reads this; without a handler the server logs a traceback for each.
        return Response(status_code=400)

    @app.exception_handler(Exception)
    async def apologise(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("internal error\n", 500)

    # Innermost, because the route that a request takes is noted in the scope that the application is handed.
    measured = app if metrics is None else Measured(app, metrics)
    return SecurityHeaders(ClientAddress(measured, trusted_proxies))
