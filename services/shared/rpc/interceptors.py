"""Server interceptors of every call: authentication by the deployment token, metrics and traces."""

from __future__ import annotations

import asyncio
import hmac
import inspect
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias, cast

import grpc
import grpc.aio
from opentelemetry import context as otel_context
from opentelemetry import trace

from services.shared.rpc.calling import Behaviour, Context, Continue, Handler, Q, R
from services.shared.telemetry.instruments import CollectorRegistry, Counter, Histogram
from services.shared.telemetry.propagation import HEADER, context_of
from services.shared.telemetry.setup import Telemetry

TOKEN = "smartscale-token"

Enter: TypeAlias = "Callable[[Context], AbstractAsyncContextManager[None]]"

_OPEN = ("/grpc.health.v1.Health/",)
"""Methods without a token: load balancers check health."""


class TokenInterceptor(grpc.aio.ServerInterceptor):
    """Rejects calls without the deployment token. To be placed before the interceptor that counts calls by name."""

    def __init__(self, token: str, telemetry: Telemetry) -> None:
        self._token = token.encode()
        self._metrics = telemetry.once(RpcMetrics)

    async def intercept_service(
        self, continuation: Continue[Q, R], handler_call_details: grpc.HandlerCallDetails
    ) -> Handler[Q, R] | None:
        """Pass the call on, or reject it."""
        if handler_call_details.method.startswith(_OPEN):
            return await continuation(handler_call_details)
        shown = [value for name, value in handler_call_details.invocation_metadata or () if name == TOKEN]
        if len(shown) == 1 and hmac.compare_digest(_bytes(shown[0]), self._token):
            return await continuation(handler_call_details)
        self._metrics.refused.inc()
        return grpc.stream_stream_rpc_method_handler(_refuse)


async def _refuse(_requests: object, context: Context) -> None:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the deployment token is missing or wrong")


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


class RpcMetrics:
    """Metrics of served calls in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        names = ("service", "method", "code")
        self.served = Counter("smartscale_rpc_served", "Calls answered, by status.", names, registry=registry)
        self.refused = Counter(
            "smartscale_rpc_refused", "Calls rejected for lack of the deployment token.", registry=registry
        )
        self.seconds = Histogram(
            "smartscale_rpc_seconds", "Time from a unary call's start to its answer.", names[:2], registry=registry
        )


class ObserveInterceptor(grpc.aio.ServerInterceptor):
    """Interceptor that counts and times every call, and continues the caller's trace except in unbounded streams."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._tracer = telemetry.tracer
        self._traces = telemetry.tracing
        self._metrics = telemetry.once(RpcMetrics)
        self._server: dict[str, str | int] = {}
        self._wrapped: dict[str, tuple[object, object]] = {}

    def listens(self, address: str, port: int) -> None:
        """Set where the server listens, for its spans; a server inside the process listens nowhere."""
        host = address.rpartition(":")[0].strip("[]")
        self._server = {"server.address": host or "::", "server.port": port} if port else {"server.address": address}

    async def intercept_service(
        self, continuation: Continue[Q, R], handler_call_details: grpc.HandlerCallDetails
    ) -> Handler[Q, R] | None:
        """Wrap the handler of the call."""
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(_OPEN):
            return handler
        name = handler_call_details.method
        known = self._wrapped.get(name)
        if known is None or known[0] is not handler:
            known = self._wrapped[name] = handler, around(handler, self._observe(name, handler))
        return cast("Handler[Q, R]", known[1])

    def _observe(self, name: str, handler: Handler[Q, R]) -> Enter:
        service, _, method = name.lstrip("/").partition("/")
        endless = handler.request_streaming and handler.response_streaming

        @asynccontextmanager
        async def observe(context: Context) -> AsyncIterator[None]:
            began = time.perf_counter()
            code = "UNKNOWN"
            span: trace.Span = trace.INVALID_SPAN
            token = None
            if self._traces and not endless:
                parent = next((str(value) for key, value in context.invocation_metadata() or () if key == HEADER), "")
                span = self._tracer.start_span(
                    f"{service}/{method}",
                    context_of(parent),
                    trace.SpanKind.SERVER,
                    {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method, **self._server},
                )
                token = otel_context.attach(trace.set_span_in_context(span))
            try:
                yield
                code = _name(context.code())
            except grpc.aio.AbortError:
                code = _name(context.code())
                raise
            except asyncio.CancelledError:
                code = "CANCELLED"
                raise
            except Exception:
                named = _name(context.code())
                code = code if named == "OK" else named
                raise
            finally:
                self._metrics.served.labels(service, method, code).inc()
                if not endless:
                    self._metrics.seconds.labels(service, method).observe(time.perf_counter() - began)
                if token is not None:
                    otel_context.detach(token)
                    span.set_attribute("rpc.grpc.status_code", grpc.StatusCode[code].value[0])
                    if code in ("UNKNOWN", "INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "DATA_LOSS"):
                        span.set_status(trace.StatusCode.ERROR)
                    span.end()

        return observe


def _name(code: object) -> str:
    if isinstance(code, grpc.StatusCode):
        return code.name
    return next((status.name for status in grpc.StatusCode if status.value[0] == code), "OK")


def around(handler: Handler[Q, R], enter: Enter) -> Handler[Q, R]:
    """Wrap a handler in a context manager that is entered for each call."""
    if handler.response_streaming:
        streaming = cast("Behaviour", handler.stream_stream if handler.request_streaming else handler.unary_stream)

        async def stream(request: object, context: Context) -> None:
            async with enter(context):
                responses = streaming(request, context)
                if inspect.isasyncgen(responses):
                    try:
                        async for response in responses:
                            await context.write(response)
                    finally:
                        await responses.aclose()
                elif inspect.isawaitable(responses):
                    await responses

        make = (
            grpc.stream_stream_rpc_method_handler if handler.request_streaming else grpc.unary_stream_rpc_method_handler
        )
        return make(stream, handler.request_deserializer, handler.response_serializer)
    single = cast("Behaviour", handler.stream_unary if handler.request_streaming else handler.unary_unary)

    async def unary(request: object, context: Context) -> object:
        async with enter(context):
            answer = single(request, context)
            return await answer if inspect.isawaitable(answer) else answer

    if handler.request_streaming:
        return grpc.stream_unary_rpc_method_handler(unary, handler.request_deserializer, handler.response_serializer)
    return grpc.unary_unary_rpc_method_handler(unary, handler.request_deserializer, handler.response_serializer)
