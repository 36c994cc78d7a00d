"""Routes of the public web: maps path and method to a coroutine. Knows no page.

A route is no part of a generated document: the REST interfaces publish documents of their own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from fastapi import APIRouter
from starlette.responses import Response

Endpoint = Callable[..., Awaitable[Response]]

GET = ("GET",)
POST = ("POST",)
READ = ("GET", "HEAD")


class Routes(APIRouter):
    """Routes in the order in which they are tried. An endpoint takes by name what it wants of request and path."""

    def add(self, path: str, endpoint: Endpoint, methods: Iterable[str] = GET) -> None:
        """Register a coroutine function for these methods of a path. HEAD is answered only if it is listed."""
        self.add_api_route(path, endpoint, methods=list(methods), response_model=None, include_in_schema=False)

    def on(self, path: str, methods: Iterable[str] = GET) -> Callable[[Endpoint], Endpoint]:
        """Return `add` as a decorator."""

        def decorate(endpoint: Endpoint) -> Endpoint:
            self.add(path, endpoint, methods)
            return endpoint

        return decorate
