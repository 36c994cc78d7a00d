"""Counts and times public HTTP requests under Headscale's metric names. Tunnels are counted by the edge."""

from __future__ import annotations

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.shared.telemetry.instruments import CollectorRegistry, Counter, Histogram

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
"""Label of unknown methods and paths, so that strangers cannot create series."""


class HttpMetrics:
    """The metrics of one process; paths are those of routes, never those of requests."""

    def __init__(self, registry: CollectorRegistry) -> None:
        names = ("method", "path")
        self.requests = Counter("http_requests", "Requests answered.", ("code", *names), registry=registry)
        self.seconds = Histogram(
            "http_request_duration_seconds", "Time to the end of an answer.", names, registry=registry
        )


class Measured:
    """Measures the requests of an application."""

    def __init__(self, app: ASGIApp, metrics: HttpMetrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        code = "500"

        async def noting(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = str(message["status"])
            await send(message)

        began = time.perf_counter()
        try:
            await self._app(scope, receive, noting)
        finally:
            path = getattr(scope.get("route"), "path", OTHER)
            method = scope["method"] if scope["method"] in _METHODS else OTHER
            self._metrics.requests.labels(code, method, path).inc()
            self._metrics.seconds.labels(method, path).observe(time.perf_counter() - began)
