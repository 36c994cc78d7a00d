"""Counters and histograms of the map streamer. Names are Headscale's where it has them; label values are fixed."""

from __future__ import annotations

from services.shared.telemetry.instruments import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class Metrics:
    """The metrics of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.generated = Counter(
            "headscale_mapresponse_generated",
            "Map responses built; a response to many sessions counts once.",
            ["response_type"],
            registry=registry,
        )
        self.sent = Counter(
            "smartscale_map_streamer_messages",
            "Messages for map sessions.",
            ["kind"],
            registry=registry,
        )
        self.refused = Counter(
            "smartscale_map_streamer_refused", "Map sessions refused.", ["reason"], registry=registry
        )
        self.resyncs = Counter(
            "smartscale_map_streamer_log_gaps", "Gaps found in a change log.", ["service"], registry=registry
        )
        self.fan_out = Histogram(
            "smartscale_map_streamer_fan_out_seconds",
            "Time from the fold of a window of changes until all its messages are queued.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.fold = Histogram(
            "headscale_nodestore_snapshot_build_duration_seconds",
            "Time to fold a window of changes into the next view.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.peers = Histogram(
            "headscale_nodestore_peers_calculation_duration_seconds",
            "Time to evaluate who may see whom, after a change of the policy, users or nodes.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.full = Histogram(
            "smartscale_map_streamer_full_map_seconds",
            "Time to build one full map.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.snapshots = Counter(
            "smartscale_map_streamer_snapshots",
            "Snapshots fetched: at the start, and where a log had been trimmed.",
            ["service"],
            registry=registry,
        )
        self.nodes = Gauge("smartscale_map_streamer_nodes", "Nodes in the snapshot.", registry=registry)
        self.sessions = Gauge("smartscale_map_streamer_sessions", "Open map sessions.", registry=registry)
        self.gateways = Gauge("smartscale_map_streamer_gateways", "Attached gateways.", registry=registry)
