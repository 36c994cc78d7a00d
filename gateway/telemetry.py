"""Shows Prometheus what the edge counts and what the gateway holds. The edge itself counts with plain integers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.edge.settings import EdgeCounts

_TEXTS = {
    "tunnels": "Tunnels that are open.",
    "half_open": "Connections that proved nothing yet.",
    "connections": "Connections that are open.",
    "handshakes": "Handshakes answered.",
    "handshakes_refused": "Handshakes refused: malformed, unproven, too old a client, too many of a machine.",
    "tunnels_failed": "Tunnels ended because of what their peer sent.",
    "peers_lost": "Tunnels ended because their peer was silent or read nothing.",
    "requests": "Requests that came out of tunnels.",
    "requests_refused": "Requests refused for their size.",
    "refused_full": "Connections closed at once: max_connections.",
    "refused_address": "Connections closed at once: max_connections_per_address.",
    "refused_address_rate": "Upgrades answered 429: handshakes_per_second of their address.",
    "refused_machine_rate": "Handshakes answered 429: reconnects_per_second of their machine.",
    "half_open_dropped": "Connections dropped that proved nothing in time, or made way for younger ones.",
    "upgrades_refused": "Upgrades refused by their head.",
    "tls_failed": "Connections that failed in TLS: most speak none, or do not trust the certificate.",
}
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
            text = _TEXTS[field.name]
            value = float(getattr(self._counts, field.name))
            if field.name in _NOW:
                yield GaugeMetricFamily(name, text, value=value)
            else:
                yield CounterMetricFamily(name, text, value=value)


class HeldCollector(Collector):
    """Reads how much the gateway holds when it is asked for."""

    def __init__(self, held: Mapping[str, tuple[str, Callable[[], float]]]) -> None:
        """`held` are gauges by name: what each says, and how it is read."""
        self._held = held

    def collect(self) -> Iterator[Metric]:
        """One gauge for each."""
        for name, (text, read) in self._held.items():
            yield GaugeMetricFamily(f"smartscale_{name}", text, value=read())
