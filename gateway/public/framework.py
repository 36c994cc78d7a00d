"""FastAPI with the routes of the open web, and its answers to errors that no route handles.

Imported by the first request that needs it, see `gateway.public.app`.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from gateway.web import Route


def application(routes: Sequence[Route]) -> FastAPI:
    """Return the application of these routes; the first that has a path answers it."""
    app = FastAPI(
        title="smartscale",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        exception_handlers={HTTPException: _refuse, ClientDisconnect: _end, Exception: _respond_failed},
    )
    for route in routes:
        methods = list(route.methods)
        app.add_api_route(route.path, route.endpoint, methods=methods, response_model=None, include_in_schema=False)
    return app


async def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return PlainTextResponse(f"{str(error.detail).lower()}\n", error.status_code, error.headers)


async def _end(_request: Request, _error: Exception) -> Response:
    # The client has gone and reads no answer; without a handler the server logs a traceback for each.
    return Response(status_code=400)


async def _respond_failed(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse("internal error\n", 500)
