"""Setup of telemetry for a process: logging, the tracer, the metrics registry. Defines no metric."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from opentelemetry import trace

from services.shared.config.model import Config
from services.shared.telemetry.instruments import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from services.shared.telemetry.logs import configure_logging
from services.shared.telemetry.pages import Pages

T = TypeVar("T")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Untraced(trace.NoOpTracer):
    """A tracer of no-op spans that never enters a context, which costs more than the span."""

    def start_as_current_span(self, *_: Any, **__: Any) -> AbstractContextManager[trace.Span]:  # type: ignore[override]
        """Return a context manager that leaves the current span unchanged."""
        return _NOTHING


_NOTHING = nullcontext[trace.Span](trace.INVALID_SPAN)


@dataclass(frozen=True, slots=True)
class Telemetry:
    """A process's tracer (no-op if tracing is disabled), metrics registry and debug pages."""

    tracer: trace.Tracer = field(default_factory=Untraced)
    registry: CollectorRegistry = field(default_factory=lambda: CollectorRegistry(auto_describe=True))
    pages: Pages = field(default_factory=Pages)
    """Debug pages of the process."""
    tracing: bool = False
    """True if spans are exported; guards work that is only needed for them."""
    _provider: Any = None
    _made: dict[Any, Any] = field(default_factory=dict)

    def once(self, make: Callable[[CollectorRegistry], T]) -> T:
        """Return the metrics that `make` registers, created at the first call and shared by the parts of a process."""
        if make not in self._made:
            self._made[make] = make(self.registry)
        return cast(T, self._made[make])

    async def stop(self) -> None:
        """Flush the buffered spans, for some seconds at most."""
        if self._provider is not None:
            await asyncio.to_thread(self._provider.shutdown)


def start_telemetry(config: Config, name: str, env: Mapping[str, str] | None = None, *, version: str = "") -> Telemetry:
    """Configure logging, and tracing if an endpoint is configured, for the process `name` of `version`."""
    configure_logging(config.log.level, config.log.format)
    env = os.environ if env is None else env
    endpoint = config.telemetry.otlp_endpoint or next((env[key] for key in _ENDPOINTS if env.get(key)), "")
    if not endpoint or env.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return Telemetry(registry=_registry())
    provider = _provider(endpoint, name, version, config.telemetry.sample_ratio)
    return Telemetry(registry=_registry(), tracer=provider.get_tracer("smartscale"), tracing=True, _provider=provider)


def _registry() -> CollectorRegistry:
    cast("Callable[[], None]", disable_created_metrics)()  # the library gives it no type
    registry = CollectorRegistry(auto_describe=True)
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


def _provider(endpoint: str, name: str, version: str, ratio: float) -> Any:
    # Imported late: the exporter costs a quarter of a second that a process without tracing need not pay.
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(ratio)),
        resource=Resource.create({"service.name": f"smartscale-{name}", "service.version": version}),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=endpoint, insecure=not endpoint.startswith("https://"), timeout=5)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
