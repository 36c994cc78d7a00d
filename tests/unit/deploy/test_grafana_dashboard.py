"""The dashboard and the alerts: each expression parses, and asks for metrics and labels that processes export."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

ROOT = Path(__file__).parents[3]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "smartscale.json").read_text())
RULES = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yaml").read_text())["groups"][0]["rules"]
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [
    *(target["expr"].replace("$__rate_interval", "5m") for panel in PANELS for target in panel["targets"]),
    *(rule["expr"] for rule in RULES),
]
OF_SCRAPE = {"job", "instance", "process"}
"""Labels that Prometheus adds to whatever it scrapes with deploy/prometheus."""
OF_CLIENT_LIBRARY: dict[str, set[str]] = {
    name: set()
    for name in ("up", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds",
                 "process_open_fds", "process_max_fds")
}  # fmt: skip
"""Metrics of Prometheus and its client library, which docs/metrics.md does not list."""


def documented() -> dict[str, set[str]]:
    """Names of the samples of docs/metrics.md, which another test holds against a running server, and their labels."""
    found = dict(OF_CLIENT_LIBRARY)
    for line in (ROOT / "docs" / "metrics.md").read_text().splitlines():
        if (row := re.match(r"\| `([a-z_0-9]+)` \| (\w+) \| ([^|]*) \| ", line)) is None:
            continue
        name, kind, labels = row[1], row[2], set(re.findall(r"`(\w+)`", row[3]))
        found[name] = labels
        if kind == "histogram":
            del found[name]
            found |= {f"{name}_sum": labels, f"{name}_count": labels, f"{name}_bucket": labels | {"le"}}
    return found


def parts(expression: Any) -> Iterator[Any]:
    """Every part of an expression."""
    yield expression
    for name in ("lhs", "rhs", "expr", "param", "vector_selector", "args"):
        below = getattr(expression, name, None)
        for one in below if isinstance(below, list) else [below]:
            if one is not None and not isinstance(one, str | int | float):
                yield from parts(one)


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_expression_asks_for_what_is_exported(text: str) -> None:
    known, asked = documented(), set[str]()
    every = list(parts(promql_parser.parse(text)))
    for selector in (part for part in every if isinstance(part, promql_parser.VectorSelector)):
        assert selector.name in known, f"{selector.name} is exported by no process"
        assert {matcher.name for matcher in selector.matchers.matchers} <= known[selector.name] | OF_SCRAPE
        asked |= known[selector.name]
    for part in every:
        labels = getattr(getattr(part, "modifier", None), "labels", None) or []
        assert set(labels) <= asked | OF_SCRAPE, f"nothing here has the labels {labels}"


def test_legends_name_labels_that_their_expression_keeps() -> None:
    for panel in PANELS:
        for target in panel["targets"]:
            expression = promql_parser.parse(target["expr"].replace("$__rate_interval", "5m"))
            kept = {
                label
                for part in parts(expression)
                for label in getattr(getattr(part, "modifier", None), "labels", None) or ()
            }
            aggregated = any(isinstance(part, promql_parser.AggregateExpr) for part in parts(expression))
            named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert named <= (kept if aggregated and "scalar" not in target["expr"] else kept | OF_SCRAPE), panel[
                "title"
            ]


def test_the_model_is_one_that_grafana_imports() -> None:
    assert DASHBOARD["schemaVersion"] >= 36 and DASHBOARD["uid"] and DASHBOARD["title"]
    variables = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource", "job"} and "id" not in DASHBOARD
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD))) == variables | {"__rate_interval"}
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)
    for panel in PANELS:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["title"] and panel["description"] and panel["fieldConfig"]["defaults"]["unit"]
        assert [target["refId"] for target in panel["targets"]] == sorted(
            {target["refId"] for target in panel["targets"]}
        )


def test_no_panel_covers_another() -> None:
    for one, other in combinations([panel["gridPos"] for panel in DASHBOARD["panels"]], 2):
        apart_across = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        apart_down = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart_across or apart_down
        assert one["x"] + one["w"] <= 24


def test_each_metric_of_headscale_that_we_have_is_on_the_board() -> None:
    text = json.dumps([panel["targets"] for panel in PANELS])
    names = {name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count") for name in documented()}
    missing = {name for name in names if name.startswith("headscale_") and name not in text}
    assert missing == {"headscale_mapresponse_endpoint_updates_total"} & missing
