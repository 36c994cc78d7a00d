"""Routes of the public web: maps path and method to a coroutine. Knows no page and no framework.

A route is no part of a generated document: the REST interfaces publish documents of their own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.responses import Response

Endpoint = Callable[..., Awaitable["Response"]]

GET = ("GET",)
POST = ("POST",)
READ = ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Route:
    """One path, which may have parameters: `/register/{auth_id}`."""

    path: str
    endpoint: Endpoint
    methods: tuple[str, ...]
    direct: bool
    """Whether it is answered before the framework is loaded; its endpoint takes the request alone."""


class Routes:
    """Routes in the order in which they are tried. An endpoint takes by name what it wants of request and path."""

    def __init__(self, *, direct: bool = False) -> None:
        """`direct` routes have no parameters, and endpoints that take the request alone."""
        self._direct = direct
        self._routes: list[Route] = []

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def add(self, path: str, endpoint: Endpoint, methods: Iterable[str] = GET) -> None:
        """Register a coroutine function for these methods of a path. HEAD is answered only if it is listed."""
        self._routes.append(Route(path, endpoint, tuple(methods), self._direct))

    def on(self, path: str, methods: Iterable[str] = GET) -> Callable[[Endpoint], Endpoint]:
        """Return `add` as a decorator."""

        def decorate(endpoint: Endpoint) -> Endpoint:
            self.add(path, endpoint, methods)
            return endpoint

        return decorate
