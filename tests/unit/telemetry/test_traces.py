"""Traces: over every hop where they are on, and nothing at all where they are off."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.shared.config import Config
from services.shared.config.model import ServicesConfig
from services.shared.rpc import LocalChannel, LocalServer, ObserveInterceptor, OutgoingChannel, RpcServer, dial
from services.shared.telemetry import Telemetry, start_telemetry
from services.shared.telemetry.propagation import context_of, current_traceparent
from tests.contract.rpc.echo import NAME, EchoServicer, EchoStub

TOKEN = ServicesConfig(token="t")


class Relaying(EchoServicer):
    """Notes the trace it is in."""

    seen = ""

    async def One(self, request: StringValue, context: Any) -> StringValue:
        self.seen = current_traceparent()
        return request


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def telemetry(exporter: InMemorySpanExporter) -> Telemetry:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Telemetry(tracer=provider.get_tracer("test"), tracing=True)


async def call(stub: EchoStub, telemetry: Telemetry) -> int:
    with telemetry.tracer.start_as_current_span("outer") as span:
        await stub.One(StringValue(value="a"), timeout=5)
        return span.get_span_context().trace_id


async def test_a_trace_crosses_the_in_process_channel(telemetry: Telemetry, exporter: InMemorySpanExporter) -> None:
    servicer, server = Relaying(), LocalServer([ObserveInterceptor(telemetry)])
    servicer.add_to(server)
    trace_id = await call(EchoStub(OutgoingChannel([LocalChannel(server)])), telemetry)
    assert servicer.seen.split("-")[1] == f"{trace_id:032x}"
    inner, outer = exporter.get_finished_spans()
    assert inner.name == f"{NAME}/One"
    assert inner.parent is not None
    assert inner.parent.span_id == outer.context.span_id


async def test_a_trace_crosses_tcp(telemetry: Telemetry, exporter: InMemorySpanExporter) -> None:
    servicer, server = Relaying(), RpcServer(TOKEN, telemetry)
    server.add(servicer)
    port = await server.start("127.0.0.1:0")
    await server.set_ready(True)
    async with dial(f"127.0.0.1:{port}", TOKEN) as channel:
        trace_id = await call(EchoStub(channel), telemetry)
    await server.stop(0)
    assert servicer.seen.split("-")[1] == f"{trace_id:032x}"
    served, outer = exporter.get_finished_spans()
    assert (served.name, outer.name) == (f"{NAME}/One", "outer")
    assert served.attributes == {
        "rpc.system": "grpc", "rpc.service": NAME, "rpc.method": "One", "rpc.grpc.status_code": 0,
        "server.address": "127.0.0.1", "server.port": port,
    }  # fmt: skip


async def test_a_refusal_is_in_the_span(telemetry: Telemetry, exporter: InMemorySpanExporter) -> None:
    server = LocalServer([ObserveInterceptor(telemetry)])
    EchoServicer().add_to(server)
    stub = EchoStub(OutgoingChannel([LocalChannel(server)]))
    for value in ("abort", "crash"):
        with pytest.raises(Exception, match=r"internal|no such"):
            await stub.One(StringValue(value=value), timeout=5)
    spans = exporter.get_finished_spans()
    assert [(span.attributes or {})["rpc.grpc.status_code"] for span in spans] == [5, 13]
    assert [span.status.status_code.name for span in spans] == ["UNSET", "ERROR"]
    sample = telemetry.registry.get_sample_value(
        "smartscale_rpc_served_total", {"service": NAME, "method": "One", "code": "NOT_FOUND"}
    )
    assert sample == 1


@pytest.mark.parametrize("text", ["", "x", "00-a-b-c", f"00-{'g' * 32}-{'0' * 16}-01", f"00-{'0' * 32}-{'0' * 16}-01"])
def test_a_bad_traceparent_starts_anew(text: str) -> None:
    assert not trace.get_current_span(context_of(text)).get_span_context().is_valid


def test_a_process_without_an_endpoint_does_not_even_import_the_sdk() -> None:
    code = (
        "import sys; from services.shared.telemetry import start_telemetry; from services.shared.config import Config;"
        "t = start_telemetry(Config(), 'x', {}); assert not t.tracing;"
        "sys.exit(any(name.startswith(('opentelemetry.sdk', 'opentelemetry.exporter')) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


async def test_a_collector_that_is_away_costs_only_the_spans() -> None:
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    telemetry = start_telemetry(Config(), "x", endpoint, version="1.2.3")
    assert telemetry.tracing
    resource = telemetry._provider.resource.attributes
    assert (resource["service.name"], resource["service.version"]) == ("smartscale-x", "1.2.3")
    with telemetry.tracer.start_as_current_span("lost"):
        pass
    await telemetry.stop()
