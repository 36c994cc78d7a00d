"""Metrics of registrations and map sessions, under Headscale's names where it has them."""

from __future__ import annotations

from services.shared.telemetry.instruments import CollectorRegistry, Counter, Gauge, Histogram

KINDS = ("full", "change", "keepalive", "ping")


class MachineMetrics:
    """The counters of `gateway.machine`; labels are few and closed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sessions = Gauge("smartscale_map_sessions", "Map sessions that are live now.", registry=registry)
        self.paused = Gauge(
            "smartscale_map_sessions_paused", "Map sessions whose client reads slowly.", registry=registry
        )
        self.waiting = Gauge(
            "smartscale_map_sessions_waiting", "Map sessions that wait for their turn.", registry=registry
        )
        self.sent = Counter(
            "headscale_mapresponse_sent", "Messages handed to tunnels.", ["status", "type"], registry=registry
        )
        # Bound once, because looking up labels would cost more than the rest of a send.
        self.sent_by_kind = {kind: self.sent.labels("success", kind) for kind in KINDS}
        self.bytes_sent = Counter("smartscale_mapresponse_sent_bytes", "Their bytes.", registry=registry)
        self.ended = Counter("headscale_mapresponse_ended", "Map sessions that ended.", ["reason"], registry=registry)
        self.updates = Counter(
            "headscale_mapresponse_endpoint_updates", "Lite map requests by outcome.", ["status"],
            registry=registry,
        )  # fmt: skip
        self.registrations = Counter(
            "smartscale_node_registrations", "Register requests by outcome.", ["status"], registry=registry
        )
        self.limited = Counter(
            "smartscale_machine_limited",
            "Requests of machines that came too often: refused, or overtaken by a newer report.",
            ["request"],
            registry=registry,
        )
        self.attached = Gauge(
            "smartscale_map_streamer_attached", "Whether a map streamer is attached.", registry=registry
        )
        self.broadcast = Histogram(
            "smartscale_map_delta_write_seconds",
            "Time to seal one delta for all its recipients and hand it to the kernel.",
            buckets=(0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
            registry=registry,
        )
        self.frame_bytes = Gauge("smartscale_map_frame_bytes", "Bytes in the frame cache.", registry=registry)
