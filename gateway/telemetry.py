"""Exports the counters of the edge and gauges of the gateway to Prometheus. The edge counts with plain integers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields

from gateway.edge.settings import EdgeCounts
from services.shared.telemetry.instruments import Collector, CounterMetricFamily, GaugeMetricFamily, Metric

_TEXTS = {
    "tunnels": "Tunnels that are open.",
    "half_open": "Connections that have not authenticated.",
    "connections": "Connections that are open.",
    "handshakes": "Handshakes answered.",
    "handshakes_refused": "Handshakes refused: malformed, not authentic, client too old, too many of a machine.",
    "tunnels_failed": "Tunnels ended because of an error of their peer.",
    "peers_lost": "Tunnels ended because their peer did not answer or did not read.",
    "requests": "Requests received in tunnels.",
    "requests_refused": "Requests refused for their size.",
    "refused_full": "Connections closed at once: max_connections.",
    "refused_address": "Connections closed at once: max_connections_per_address.",
    "refused_address_rate": "Upgrades answered 429: handshakes_per_second of their network.",
    "refused_machine_rate": "Tunnels refused: reconnects_per_second of their machine.",
    "half_open_dropped": "Connections dropped that did not authenticate in time, or gave way to younger ones.",
    "upgrades_refused": "Upgrades refused because of their request head.",
    "tls_failed": "Connections that failed in TLS: most speak none, or do not trust the certificate.",
}
_NOW = {"tunnels", "half_open", "connections"}
"""Gauges; the others are counters since the start."""


class EdgeCollector(Collector):
    """Reads the counters of the edge when Prometheus scrapes."""

    def __init__(self, counts: EdgeCounts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """Yield one metric for each counter."""
        for field in fields(self._counts):
            name = f"smartscale_edge_{field.name}"
            text = _TEXTS[field.name]
            value = float(getattr(self._counts, field.name))
            if field.name in _NOW:
                yield GaugeMetricFamily(name, text, value=value)
            else:
                yield CounterMetricFamily(name, text, value=value)


class GaugeCollector(Collector):
    """Reads gauges when Prometheus scrapes."""

    def __init__(self, gauges: Mapping[str, tuple[str, Callable[[], float]]]) -> None:
        """`gauges` maps each name to its help text and a function that reads it."""
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        """Yield one metric for each gauge."""
        for name, (text, read) in self._gauges.items():
            yield GaugeMetricFamily(f"smartscale_{name}", text, value=read())
