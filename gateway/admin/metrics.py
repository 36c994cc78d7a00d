"""The chain's step `count`: counters of administration calls, by name and status, over every wire."""

from __future__ import annotations

from services.shared.telemetry.instruments import CollectorRegistry, Counter


class AdminMetrics:
    """The counters of `gateway.admin`; both labels are closed sets."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.calls = Counter(
            "smartscale_admin_calls",
            "Administration calls by status.",
            ["call", "status"],
            registry=registry,
        )
        self.refused = Counter(
            "smartscale_admin_refused", "Calls refused before they were made, by status.", ["status"], registry=registry
        )
