"""The chain that every administration call passes, over every wire: one ordered list of steps around one handler.

    enter   span > identify (API key, unix socket) > limits          before the request is read
    call    count > audit > errors > scope > parameters > handler    for the request

A wire translates: it makes an `Arrival`, enters, reads the request, calls, and writes the answer or the refusal.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

import grpc
import grpc.aio
from google.protobuf.message import Message
from opentelemetry import context as otel_context
from opentelemetry import trace
from smartscale.types.v1.audit_pb2 import AuditEntry

from gateway.admin.checks import check
from gateway.admin.context import Arrival, CallContext, ProvenCaller
from gateway.admin.methods import Method, Methods
from gateway.admin.metrics import AdminMetrics
from gateway.admin.refusal import Refused
from services.shared.telemetry.logs import get_logger
from services.shared.telemetry.propagation import context_of
from services.shared.telemetry.setup import Telemetry

log = get_logger(__name__)

_FAULTS = frozenset({"INTERNAL", "UNKNOWN", "UNAVAILABLE", "DEADLINE_EXCEEDED", "DATA_LOSS"})
"""Statuses that are a server's fault by the OpenTelemetry conventions for gRPC; the others are the caller's."""


class Identifier(Protocol):
    """Proves who calls, and limits how often."""

    async def identify(self, arrival: Arrival) -> ProvenCaller:
        """Return the proven caller and what its credential permits.

        Raises:
            Refused: no credential, a wrong one, or too many calls.
        """
        ...


class Auditor(Protocol):
    """Recorder of every call that may change something: before it is made, and with its result."""

    async def begin(self, call: CallContext, method: Method, request: Message) -> AuditEntry:
        """Record a call that is about to be made.

        Raises:
            Refused: it cannot be recorded, so that it must not be made.
        """
        ...

    async def finish(self, entry: AuditEntry, status: str, reason: str, answer: Message | None) -> None:
        """Record the result: the name of a gRPC status, the text of a refusal, the answer. Does not raise."""
        ...

    async def refuse(self, call: CallContext, operation: str, refusal: Refused) -> None:
        """Record that an operation was refused before any call was made.

        Raises:
            Refused: it cannot be recorded.
        """
        ...


class Chain:
    """The chain of steps around every call, for all wires."""

    def __init__(
        self,
        methods: Methods,
        identifier: Identifier,
        metrics: AdminMetrics,
        telemetry: Telemetry,
        auditor: Auditor,
    ) -> None:
        self.methods = methods
        self._identifier = identifier
        self._metrics = metrics
        self._telemetry = telemetry
        self.auditor = auditor

    @asynccontextmanager
    async def enter(self, arrival: Arrival) -> AsyncIterator[CallContext]:
        """Identify the caller under the root span of the call; everything inside the context belongs to that span.

        Raises:
            Refused: no credential, a wrong one, or too many calls.
        """
        span: trace.Span = trace.INVALID_SPAN
        token = None
        if self._telemetry.tracing:
            parent = context_of(arrival.traceparent)
            attributes = {"smartscale.wire": arrival.wire, "client.address": arrival.address}
            span = self._telemetry.tracer.start_span("administration", parent, trace.SpanKind.SERVER, attributes)
            token = otel_context.attach(trace.set_span_in_context(span))
        try:
            identity = await self._identifier.identify(arrival)
            yield CallContext(identity.caller, identity.scopes, span, tags=identity.tags)
        except Refused as refusal:
            _mark(span, refusal.code.name)
            raise
        finally:
            if token is not None:
                otel_context.detach(token)
                span.end()

    async def call(self, call: CallContext, name: str, request: Message) -> Message:
        """Make the call of this full name.

        Raises:
            Refused: it cannot be made as requested.
        """
        method = self.methods[name]
        call.span.update_name(name)
        call.span.set_attributes({"rpc.system": "grpc", "rpc.service": method.service, "rpc.method": method.name})
        status = "OK"
        try:
            return await (self._recorded if method.changes else self._make)(call, method, request)
        except Refused as refusal:
            status = refusal.code.name
            raise
        finally:
            self._metrics.calls.labels(method.name, status).inc()
            _mark(call.span, status)

    async def _recorded(self, call: CallContext, method: Method, request: Message) -> Message:
        """Make a call between the two records of it. A call that is cancelled is left without a result."""
        entry = await self.auditor.begin(call, method, request)
        try:
            answer = await self._make(call, method, request)
        except Refused as refusal:
            await self.auditor.finish(entry, refusal.code.name, str(refusal), None)
            raise
        await self.auditor.finish(entry, "OK", "", answer)
        return answer

    async def _make(self, call: CallContext, method: Method, request: Message) -> Message:
        call.check_call(method.scopes)
        check(request)
        try:
            return await method.handler(request, call)
        except grpc.aio.AioRpcError as error:
            raise Refused(error.code(), error.details() or "") from None
        except Refused:
            raise
        except Exception:
            log.exception("administration call failed", call=method.name)
            raise Refused(grpc.StatusCode.INTERNAL, "internal error") from None


def _mark(span: trace.Span, status: str) -> None:
    span.set_attribute("rpc.grpc.status_code", grpc.StatusCode[status].value[0])
    if status in _FAULTS:
        span.set_status(trace.StatusCode.ERROR)
