"""The page at the root of the public listener, and the icon of all pages."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from gateway.public.pages.frame import HEADERS
from gateway.public.pages.home import ICON, home_page
from gateway.web import READ, Routes


def home_router(server_url: str, command: str) -> Routes:
    """Return the routes; the page shows how a client is pointed to `server_url`, and how the command line begins."""
    router = Routes(direct=True)
    content = home_page(server_url, command)

    @router.on("/", READ)
    async def root(_request: Request) -> HTMLResponse:
        return HTMLResponse(content, headers=HEADERS)

    @router.on("/icon.svg", READ)
    @router.on("/favicon.ico", READ)
    async def icon(_request: Request) -> Response:
        headers = {
            "Cache-Control": "max-age=86400",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
        }
        return Response(ICON, headers=headers, media_type="image/svg+xml")

    return router
