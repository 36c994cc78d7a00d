"""docs/metrics.md names what processes export: every metric with its kind and labels, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import yaml
from headscale.v1 import node_pb2
from prometheus_client import CollectorRegistry
from smartscale.registry.v1 import registry_pb2

import services.derp.wiring
from services.registry.metrics import OPERATIONS
from services.shared.bus.redis import BusMetrics
from services.shared.config.model import DerpConfig, DerpServerConfig
from services.shared.runtime.process import embedded
from services.shared.telemetry import Telemetry
from tests.fakes.tailnet import BUILDS, config_in, tailnet_in

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"
_ROW = re.compile(r"\| `([a-z_0-9]+)` \| (\w+) \| ([^|]*) \| ")


def exported(registry: CollectorRegistry) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Every metric as Prometheus names it, with its kind and its labels."""
    declared: dict[str, tuple[str, ...]] = {}
    for collector in list(registry._collector_to_names):
        names = getattr(collector, "_labelnames", ())
        describe = getattr(collector, "describe", collector.collect)
        declared.update(dict.fromkeys((metric.name for metric in describe()), tuple(names)))
    for metric in registry.collect():
        labels = declared.get(metric.name, ())
        if not labels and metric.samples:
            labels = tuple(name for name in metric.samples[0].labels if name not in ("le", "quantile"))
        yield metric.name + ("_total" if metric.type == "counter" else ""), metric.type, labels


async def test_the_documented_metrics_are_the_exported_ones(tmp_path: Path) -> None:
    relay = DerpServerConfig(
        listen_addr="", http_listen_addr="127.0.0.1:0", stun_listen_addr="127.0.0.1:0", hostname="127.0.0.1",
        private_key_path=tmp_path / "derp.key",
    )  # fmt: skip
    config = replace(config_in(tmp_path), derp=DerpConfig(server=relay))
    telemetry = Telemetry()
    telemetry.once(BusMetrics)
    async with embedded(config, {**BUILDS, "derp": services.derp.wiring.build}, telemetry):
        found = set(exported(telemetry.registry))
    rows = [match.groups() for match in map(_ROW.match, PAGE.read_text().splitlines()) if match is not None]
    documented = {
        (name, kind, tuple(label.strip(" `") for label in labels.split(",") if label.strip(" `–")))
        for name, kind, labels in rows
    }
    assert documented == found
    assert len(rows) == len(documented)


async def test_operations_on_nodes_are_counted_by_the_words_of_headscale(tmp_path: Path) -> None:
    telemetry = Telemetry()

    def count(operation: str, name: str = "operations_total") -> float:
        return telemetry.registry.get_sample_value(f"headscale_nodestore_{name}", {"operation": operation}) or 0.0

    async with tailnet_in(tmp_path, telemetry=telemetry) as tailnet:
        before = {operation: count(operation) for operation in OPERATIONS}
        device = await tailnet.device("one").join(await tailnet.auth_key(await tailnet.user("ada")))
        await tailnet.admin.RenameNode(node_pb2.RenameNodeRequest(node_id=device.id, new_name="two"))
        assert await device.report("192.0.2.1:41641") == 200
        await tailnet.nodes()
        await tailnet.delete(device.id)
        grown = {operation for operation in OPERATIONS if count(operation) > before[operation]}
        assert grown >= {"put", "set_name", "update", "list", "delete", "get_by_key"}
        for operation in OPERATIONS:
            assert count(operation, "operation_duration_seconds_count") >= count(operation)
        assert count("put", "operation_duration_seconds_sum") > 0
    peers = "headscale_nodestore_peers_calculation_duration_seconds"
    assert (telemetry.registry.get_sample_value(f"{peers}_count") or 0) > 0


def test_every_operation_is_one_of_a_call_that_exists() -> None:
    methods = registry_pb2.DESCRIPTOR.services_by_name["RegistryService"].methods_by_name
    named = [method for calls in OPERATIONS.values() for method in calls]
    assert set(named) <= set(methods) and len(set(named)) == len(named)
    about_nodes = {name for name in methods if "Node" in name or name in ("SetTags", "SetApprovedRoutes")}
    assert about_nodes <= set(named)


def test_alerts_and_stages_name_documented_metrics_only() -> None:
    page = PAGE.read_text()
    documented = {match[1] for match in map(_ROW.match, page.splitlines()) if match is not None}
    alerts = (PAGE.parents[1] / "deploy" / "prometheus" / "alerts.yaml").read_text()
    rules = yaml.safe_load(alerts)["groups"][0]["rules"]
    named = set(re.findall(r"\b(?:smartscale|headscale|http)_[a-z_]+", page + "".join(rule["expr"] for rule in rules)))
    assert {name.removesuffix("_bucket") for name in named} - {"headscale_"} == documented
    assert all(rule["annotations"]["summary"] and rule["labels"]["severity"] in ("page", "ticket") for rule in rules)
