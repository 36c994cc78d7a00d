"""The application on port 80: answers open ACME challenges, and redirects browsers to https."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from services.shared.certificates.store import AcmeStore


def challenge_app(store: AcmeStore, server_url: str) -> ASGIApp:
    """Answer HTTP-01 challenges of a store; everything else is sent to the server's own URL."""

    async def challenge(request: Request) -> Response:
        authorization = store.authorization(str(request.path_params["token"]))
        if authorization is None:
            return PlainTextResponse("no such challenge\n", 404)
        return Response(authorization, media_type="application/octet-stream")

    async def redirect(request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{server_url.rstrip('/')}{request.url.path}{query}", 302)

    return Starlette(
        routes=[
            Route("/.well-known/acme-challenge/{token}", challenge),
            Route("/{path:path}", redirect, methods=["GET", "HEAD"]),
        ]
    )
