"""Shows what the edge counts to Prometheus. The edge itself counts with plain integers and knows no metrics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.edge.settings import EdgeCounts

_NOW = {"tunnels", "half_open", "connections"}
"""What rises and falls; the rest is counted since the start."""


class EdgeCollector(Collector):
    """Reads the counts when they are asked for."""

    def __init__(self, counts: EdgeCounts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """One metric for each count."""
        for field in fields(self._counts):
            name = f"smartscale_edge_{field.name}"
            text = f"Edge: {field.name.replace('_', ' ')}."
            value = float(getattr(self._counts, field.name))
            if field.name in _NOW:
                yield GaugeMetricFamily(name, text, value=value)
            else:
                yield CounterMetricFamily(name, text, value=value)
