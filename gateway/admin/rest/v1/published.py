"""The public part of REST: the OpenAPI document in three notations, and a page to read and try it."""

from __future__ import annotations

from functools import cache

import orjson
from starlette.responses import RedirectResponse, Response

from gateway.admin.rest.v1 import page
from gateway.web import READ, Routes

_HEADERS = {"Cache-Control": "max-age=300"}


def add_to(routes: Routes, prefix: str) -> None:
    """Add the document, the page, and the redirects of older addresses."""

    async def as_json() -> Response:
        return Response(_json(), 200, _HEADERS, "application/json")

    async def as_yaml() -> Response:
        return Response(_yaml(), 200, _HEADERS, "application/yaml")

    async def as_page() -> Response:
        headers = {**_HEADERS, "Content-Security-Policy": page.POLICY}
        return Response(page.HTML, 200, headers, "text/html; charset=utf-8")

    async def to_page() -> Response:
        return RedirectResponse(f"{prefix}/docs")

    async def as_swagger() -> Response:
        return Response(_swagger(), 200, _HEADERS, "application/json")

    paths = {
        f"{prefix}/openapi.json": as_json,
        f"{prefix}/openapi.yaml": as_yaml,
        f"{prefix}/docs": as_page,
        "/swagger": to_page,
        "/swagger/v1/openapiv2.json": as_swagger,
    }
    for path, endpoint in paths.items():
        routes.add(path, endpoint, READ)


@cache
def _json() -> bytes:
    from gateway.admin.rest.v1 import openapi  # late: few processes are ever asked for the document

    return orjson.dumps(openapi.build())


@cache
def _swagger() -> bytes:
    from gateway.admin.rest.v1 import swagger

    return orjson.dumps(swagger.build())


@cache
def _yaml() -> bytes:
    import yaml

    return yaml.safe_dump(orjson.loads(_json()), sort_keys=False, allow_unicode=True).encode()
