"""What the registry counts."""

from __future__ import annotations

from collections.abc import Callable

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
        # The same by Headscale's names, for boards that were made for it.
        self._batches = Histogram(
            "headscale_nodestore_batch_size",
            "Works that shared a transaction.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 512),
            registry=registry,
        )
        self._batch_seconds = Histogram(
            "headscale_nodestore_batch_duration_seconds", "Time of a transaction with all its works.", registry=registry
        )
        self._stored = Gauge("headscale_nodestore_nodes", "Nodes in the tailnet.", registry=registry)
        self._queue = Gauge("headscale_nodestore_queue_depth", "Calls that wait for their turn.", registry=registry)
        self._users = Gauge("smartscale_registry_users", "Users in the tailnet.", registry=registry)
        self._online = Gauge("smartscale_registry_nodes_online", "Nodes that are connected.", registry=registry)
        self._position = Gauge("smartscale_registry_position", "Number of the newest change.", registry=registry)
        self._nodes = Gauge("smartscale_registry_nodes", "Nodes in the tailnet.", registry=registry)

    def watch(self, waiting: Callable[[], int], cached_state: Callable[[], State]) -> None:
        """Read the queue and the state whenever they are scraped."""
        self._queue.set_function(waiting)
        self._users.set_function(lambda: len(cached_state().users))
        self._online.set_function(lambda: sum(node.online for node in cached_state().nodes.values()))

    def committed(self, state: State, works: int, facts: int, seconds: float) -> None:
        """Count one transaction."""
        self._works.observe(works)
        self._batches.observe(works)
        self._seconds.observe(seconds)
        self._batch_seconds.observe(seconds)
        self._stored.set(len(state.nodes))
        self._facts.inc(facts)
        self._position.set(state.position)
        self._nodes.set(len(state.nodes))
