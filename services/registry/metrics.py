"""What the registry counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.registry.model.state import State
from services.registry.usecases.ledger import Observer


class RegistryMetrics(Observer):
    """The registry's numbers in one Prometheus registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._facts = Counter("smartscale_registry_changes", "Changes recorded in the log.", registry=registry)
        self._seconds = Histogram(
            "smartscale_registry_commit_seconds", "Time of a transaction with all its works.", registry=registry
        )
        self._works = Histogram(
            "smartscale_registry_commit_works",
            "Works that shared a transaction.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 512),
            registry=registry,
        )
        self._position = Gauge("smartscale_registry_position", "Number of the newest change.", registry=registry)
        self._nodes = Gauge("smartscale_registry_nodes", "Nodes in the tailnet.", registry=registry)

    def committed(self, state: State, works: int, facts: int, seconds: float) -> None:
        """Count one transaction."""
        self._works.observe(works)
        self._seconds.observe(seconds)
        self._facts.inc(facts)
        self._position.set(state.position)
        self._nodes.set(len(state.nodes))
