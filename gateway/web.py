"""Routes of the open web: which coroutine answers which path and method. Knows no page.

Starlette alone: nothing here needs the models and documents that a larger framework loads.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Endpoint = Callable[..., Awaitable[Response]]

GET = ("GET",)
POST = ("POST",)
READ = ("GET", "HEAD")


class Routes:
    """Routes in the order in which they are tried."""

    def __init__(self) -> None:
        self._routes: list[Route] = []

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def add(self, path: str, endpoint: Endpoint, methods: Iterable[str] = GET) -> None:
        """Let a coroutine function answer a path; it takes by name what it wants of `request` and path parameters."""
        wanted = frozenset(inspect.signature(endpoint).parameters)

        async def answer(request: Request) -> Response:
            request.scope["route"] = route
            named = {**request.path_params, "request": request}
            return await endpoint(**{name: value for name, value in named.items() if name in wanted})

        route = Route(path, answer, methods=list(methods))
        # Starlette answers HEAD wherever GET is: that would run what a GET with an effect does.
        route.methods = set(methods)
        self._routes.append(route)

    def on(self, path: str, methods: Iterable[str] = GET) -> Callable[[Endpoint], Endpoint]:
        """Return `add` as a decorator."""

        def decorate(endpoint: Endpoint) -> Endpoint:
            self.add(path, endpoint, methods)
            return endpoint

        return decorate
