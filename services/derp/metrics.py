"""Prometheus metrics of a relay, read from the counters of its routing state, so that the hot path pays nothing."""

from __future__ import annotations

from collections.abc import Iterator

from services.derp.server import DerpServer
from services.shared.telemetry.instruments import Collector, CounterMetricFamily, GaugeMetricFamily, Metric

_DROPS = {
    "unknown_destination": "dropped_unknown_destination",
    "queue_head": "dropped_queue_head",
    "mesh": "dropped_mesh",
}
_REFUSALS = ("full", "crowded_out", "too_slow", "tls", "protocol", "not_admitted", "stalled")


class RelayCollector(Collector):
    """Collector of one server's counters at the time of a scrape."""

    def __init__(self, server: DerpServer) -> None:
        self._server = server

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics of the relay."""
        yield from self._gauges()
        yield from self._packets()
        yield from self._refused()
        yield from self._stun()

    def _gauges(self) -> Iterator[Metric]:
        server, relay = self._server, self._server.relay
        for name, text, value in (
            ("clients", "Clients that are logged in.", len(relay)),
            ("connections", "Sockets that are open.", server.connections),
            ("connections_waiting", "Sockets that have not logged in.", server.waiting),
            ("home_clients", "Clients that call this relay their home.", relay.counters.homes),
            ("mesh_watchers", "Relays of the region that watch this one.", relay.watchers),
            ("mesh_keys", "Node keys reached through other relays of the region.", relay.remote_keys),
        ):
            yield GaugeMetricFamily(f"smartscale_derp_{name}", text, value=value)

    def _packets(self) -> Iterator[Metric]:
        counters = self._server.relay.counters
        packets = CounterMetricFamily("smartscale_derp_packets", "Packets carried, by direction.", labels=["direction"])
        size = CounterMetricFamily("smartscale_derp_bytes", "Bytes carried, by direction.", labels=["direction"])
        packets.add_metric(["received"], counters.packets_received)
        packets.add_metric(["sent"], counters.packets_sent)
        packets.add_metric(["forwarded_in"], counters.packets_forwarded_in)
        packets.add_metric(["forwarded_out"], counters.packets_forwarded_out)
        size.add_metric(["received"], counters.bytes_received)
        size.add_metric(["sent"], counters.bytes_sent)
        dropped = CounterMetricFamily("smartscale_derp_dropped", "Packets dropped, by reason.", labels=["reason"])
        for reason, name in _DROPS.items():
            dropped.add_metric([reason], getattr(counters, name))
        yield from (packets, size, dropped)
        yield CounterMetricFamily("smartscale_derp_accepts", "Logins since the start.", value=counters.accepts)
        revoked = "Node keys cut because the registry no longer lets them in."
        yield CounterMetricFamily("smartscale_derp_revoked", revoked, value=counters.revoked)

    def _refused(self) -> Iterator[Metric]:
        refused = CounterMetricFamily("smartscale_derp_refused", "Connections ended, by reason.", labels=["reason"])
        for reason in _REFUSALS:
            refused.add_metric([reason], getattr(self._server.refusals, reason))
        yield refused

    def _stun(self) -> Iterator[Metric]:
        stun = self._server.stun
        requests = CounterMetricFamily("smartscale_stun_requests", "STUN datagrams, by outcome.", labels=["outcome"])
        requests.add_metric(["answered"], stun.answered if stun else 0)
        requests.add_metric(["ignored"], stun.ignored if stun else 0)
        yield requests
