"""Metrics of the registry; those of Headscale's node store have its names and labels, for dashboards made for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isinf

from smartscale.registry.v1 import registry_pb2

from services.registry.model.state import State
from services.registry.model.term import ElectionReason
from services.registry.usecases.ledger import LedgerObserver
from services.shared.rpc.interceptors import RpcMetrics
from services.shared.telemetry.instruments import (
    Collector,
    CollectorRegistry,
    Counter,
    CounterMetricFamily,
    Gauge,
    Histogram,
    HistogramMetricFamily,
    Metric,
)

OPERATIONS: dict[str, tuple[str, ...]] = {
    "get": ("GetNode",),
    "get_by_key": ("FindNode", "VerifyNodeKey"),
    "list": ("ListNodes", "ListSubjects", "GetSnapshot"),
    "put": ("AdmitNode",),
    "update": (
        "UpdateNode",
        "ExpireNode",
        "LogOutNode",
        "SetTags",
        "SetApprovedRoutes",
        "PreferRoutes",
        "SetNodeAddress",
    ),
    "update_multi": ("ReportSessions", "BackfillNodeIps"),
    "delete": ("DeleteNode",),
    "set_name": ("RenameNode",),
}
"""Headscale's operations on nodes (`hscontrol/state/node_store.go`), and the calls that do the same here."""
_SERVICE = registry_pb2.DESCRIPTOR.services_by_name["RegistryService"].full_name


_BOUNDS = tuple("+Inf" if isinf(bound) else str(bound) for bound in Histogram.DEFAULT_BUCKETS)

Samples = list[tuple[dict[str, str], float]]
"""Labels and value of the samples of one name."""


class RegistryMetrics(LedgerObserver):
    """The registry's metrics in one Prometheus registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._facts = Counter("smartscale_registry_changes", "Changes recorded in the log.", registry=registry)
        self._seconds = Histogram(
            "smartscale_registry_commit_seconds", "Time of a transaction and all its writes.", registry=registry
        )
        self._writes = Histogram(
            "smartscale_registry_commit_writes",
            "Writes that shared a transaction.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 512),
            registry=registry,
        )
        # The same under Headscale's names, for dashboards that were made for it.
        self._batches = Histogram(
            "headscale_nodestore_batch_size",
            "Writes that shared a transaction.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 512),
            registry=registry,
        )
        self._batch_seconds = Histogram(
            "headscale_nodestore_batch_duration_seconds",
            "Time of a transaction and all its writes.",
            registry=registry,
        )
        self._stored = Gauge("headscale_nodestore_nodes", "Nodes in the tailnet.", registry=registry)
        self._queue = Gauge("headscale_nodestore_queue_depth", "Calls that wait for their turn.", registry=registry)
        self._users = Gauge("smartscale_registry_users", "Users in the tailnet.", registry=registry)
        self._online = Gauge("smartscale_registry_nodes_online", "Nodes that are connected.", registry=registry)
        self._position = Gauge("smartscale_registry_position", "Number of the newest change.", registry=registry)
        self._nodes = Gauge("smartscale_registry_nodes", "Nodes in the tailnet.", registry=registry)

        self._elections = Counter(
            "smartscale_registry_elections", "Primary routers elected, by reason.", ("reason",), registry=registry
        )
        self._elected_routes = Counter(
            "smartscale_registry_elected_routes", "Routes that got another primary router.", registry=registry
        )

    def watch(self, waiting: Callable[[], int], cached_state: Callable[[], State]) -> None:
        """Read the queue and the state whenever they are scraped."""
        self._queue.set_function(waiting)
        self._users.set_function(lambda: len(cached_state().users))
        self._online.set_function(lambda: sum(node.online for node in cached_state().nodes.values()))

    def elected(self, reason: ElectionReason, routes: int) -> None:
        """Count one election."""
        self._elections.labels(reason.label).inc()
        self._elected_routes.inc(routes)

    def committed(self, state: State, writes: int, facts: int, seconds: float) -> None:
        """Count one transaction."""
        self._writes.observe(writes)
        self._batches.observe(writes)
        self._seconds.observe(seconds)
        self._batch_seconds.observe(seconds)
        self._stored.set(len(state.nodes))
        self._facts.inc(facts)
        self._position.set(state.position)
        self._nodes.set(len(state.nodes))


class NodestoreCollector(Collector):
    """Sums the calls of each operation at every scrape."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls: RpcMetrics | None = None
        registry.register(self)

    def follow(self, calls: RpcMetrics) -> None:
        """Set the metrics of the calls that this process serves."""
        self._calls = calls

    def describe(self) -> Iterator[Metric]:
        """Yield the metrics without a value."""
        yield from _families()

    def collect(self) -> Iterator[Metric]:
        """Yield how many calls succeeded, and how long all of them took."""
        if self._calls is None:
            return
        served, seconds = _samples(self._calls.served), _samples(self._calls.seconds)
        total, duration = _families()
        for operation, methods in OPERATIONS.items():
            done = (value for labels, value in _of(served["_total"], methods) if labels["code"] == "OK")
            total.add_metric([operation], sum(done))
            buckets = dict.fromkeys(_BOUNDS, 0.0)
            for labels, value in _of(seconds["_bucket"], methods):
                buckets[labels["le"]] += value
            spent = sum(value for _, value in _of(seconds["_sum"], methods))
            duration.add_metric([operation], list(buckets.items()), spent)
        yield total
        yield duration


def _families() -> tuple[CounterMetricFamily, HistogramMetricFamily]:
    return (
        CounterMetricFamily(
            "headscale_nodestore_operations", "Calls about nodes that succeeded.", labels=["operation"]
        ),
        HistogramMetricFamily(
            "headscale_nodestore_operation_duration_seconds", "Time of a call about nodes.", labels=["operation"]
        ),
    )


def _samples(metric: Counter | Histogram) -> dict[str, Samples]:
    found: dict[str, Samples] = {"_total": [], "_bucket": [], "_sum": []}
    for family in metric.collect():
        for sample in family.samples:
            found.setdefault(sample.name.removeprefix(family.name), []).append((dict(sample.labels), sample.value))
    return found


def _of(samples: Samples, methods: tuple[str, ...]) -> Samples:
    return [one for one in samples if one[0]["service"] == _SERVICE and one[0]["method"] in methods]
