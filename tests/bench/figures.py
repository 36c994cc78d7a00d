"""All figures of this project, measured and written: `python -m tests.bench figures [--into docs/benchmarks]`.

Writes one JSON for each run, the table of targets (`results.md`) and the plots. About twenty minutes on a quiet machine
of two cores; `--clients 100 --idle 200` is a rehearsal. `--only NAME` measures one run anew, `--only table` none.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import plots, relay
from tests.bench.load import command
from tests.bench.load.scenarios import GROUPS, SCENARIOS, Figures

FOLDER = Path(__file__).parents[2] / "docs" / "benchmarks"
Found = Mapping[str, Mapping[str, Figures]]


@dataclass(frozen=True, slots=True)
class Goal:
    """A row of the table: what, where it is found, the target."""

    what: str
    scenario: str
    key: str
    limit: float
    unit: str
    runs: tuple[str, ...] = ("embedded", "stack")


GOALS = (
    Goal("endpoint change, all peers see it: CPU", "fanout_patch", "cpu_ms", 15, "ms"),
    Goal("the same: last peer, median", "fanout_patch", "last_p50_ms", 40, "ms"),
    Goal("the same: last peer, 99th percentile", "fanout_patch", "last_p99_ms", 150, "ms"),
    Goal("endpoint change, 20 rules, 50 peers: CPU", "fanout_patch_acl", "cpu_ms", 3, "ms"),
    Goal("join of one node: CPU", "join", "cpu_ms", 40, "ms"),
    Goal("join: until all have it, median", "join", "all_have_it_p50_ms", 60, "ms"),
    Goal("reconnect storm of all: CPU", "reconnect_storm", "cpu_s", 2, "s"),
    Goal("reconnect storm: last full map", "reconnect_storm", "last_map_s", 4, "s"),
    Goal("reconnect storm: peak memory to idle", "reconnect_storm", "peak_ratio", 1.3, "x"),
    Goal("policy edit, every filter: CPU", "policy_change", "cpu_s", 0.5, "s"),
    Goal("policy edit: first to last client", "policy_change", "first_to_last_s", 1, "s"),
    Goal("10 changes a second: share of a core", "churn", "core_percent", 15, "%"),
    Goal("10 changes a second: 99th percentile", "churn", "p99_ms", 150, "ms"),
    Goal("identical map request: CPU", "noop", "cpu_us", 400, "us"),
    Goal("cold start: first full map", "cold_start", "first_map_s", 3, "s"),
    Goal("hostile clients: others' p99 to quiet", "hostile", "p99_ratio", 2, "x"),
    Goal("slow readers: others' p99 to quiet", "slow_reader", "p99_ratio", 1.5, "x"),
    Goal("idle: memory per client", "idle", "memory_per_client_kib", 12, "KiB", ("idle",)),
    Goal("idle: share of a core", "idle", "core_percent", 0.5, "%", ("idle",)),
    Goal("idle with TLS: memory per client", "idle", "memory_per_client_kib", 40, "KiB", ("idle-tls",)),
    Goal("growth, fan-out: exponent of CPU per client", "scale_exponent", "fanout_exponent", 0.15, "", ("scale",)),
    Goal("growth, join: exponent of CPU per client", "scale_exponent", "join_exponent", 0.15, "", ("scale",)),
    Goal("growth, storm: exponent of CPU per client", "scale_exponent", "storm_exponent", 0.15, "", ("scale",)),
    Goal("relay with TLS, bulk: CPU per packet", "relay_bulk_tls", "cpu_us", 4.5, "us", ("relay",)),
    Goal("relay with TLS, 20 pairs ping-pong: CPU per packet", "relay_ping_pong_tls", "cpu_us", 14, "us", ("relay",)),
    Goal("relay without TLS, bulk: CPU per packet", "relay_bulk_plain", "cpu_us", 2, "us", ("relay",)),
    Goal("STUN: CPU per request", "stun", "cpu_us", 9, "us", ("relay",)),
)
ZERO = (("identical map requests: messages caused", "noop", "messages_caused"),
        ("gateway restart: flaps seen by peers", "gateway_restart", "flaps_seen"))  # fmt: skip


def runs(clients: int, idle: int) -> dict[str, Callable[[], dict[str, Figures]]]:
    """What is measured, by the name of its file."""
    usual = [*SCENARIOS, "hostile"]
    return {
        "relay": relay.measure,
        "embedded": lambda: command.measure(usual, clients, groups=GROUPS),
        "stack": lambda: command.measure(usual, clients, groups=GROUPS, stack=True),
        "scale": lambda: command.measure(["scale_exponent"], clients),
        "idle": lambda: command.measure(["idle"], idle),
        "idle-tls": lambda: command.measure(["idle"], idle, tls=True),
    }


def results(found: Found, machines: Mapping[str, Any]) -> str:
    """The table of targets in Markdown."""
    out = ["# Results", "", "Written by `python -m tests.bench figures`; do not edit.", ""]
    out += ["| | target | embedded or alone | to target | stack | to target |", "|---|---|---|---|---|---|"]
    for goal in GOALS:
        cells = []
        for run in (goal.runs[0], "stack") if "stack" in goal.runs else goal.runs:
            cells += _cells(found.get(run, {}).get(goal.scenario, {}), goal)
        out.append(f"| {goal.what} | {goal.limit:g} {goal.unit} | " + " | ".join([*cells, "", ""][:4]) + " |")
    for what, scenario, key in ZERO:
        values = [found.get(run, {}).get(scenario, {}).get(key) for run in ("embedded", "stack")]
        shown = ["" if value is None else f"{value:g} | {'reached' if not value else 'missed'}" for value in values]
        out.append(f"| {what} | 0 | " + " | ".join(text or " | " for text in shown) + " |")
    wrong = [f"{run}: {name}" for run, all_ in found.items() for name, values in all_.items() if "wrong" in values]
    out += ["", f"Failed: {', '.join(wrong)}." if wrong else "No run ended with a wrong netmap.", ""]
    out += ["Medians; in brackets the least and the most of the repeats. *to target* is figure / target.", ""]
    out += ["| run | clients | machine | Python | calibration | when |", "|---|---|---|---|---|---|"]
    for run, said in machines.items():
        of = said["machine"]
        calibration = f"{of['calibration_ms']} ms"
        out.append(
            f"| {run} | {said.get('clients', '')} | {of['cpu']}, Linux {of['kernel']} | {of['python']} | {calibration}"
            f" | {said.get('date', '')} |"
        )
    return "\n".join(out) + "\n"


def _cells(values: Mapping[str, float], goal: Goal) -> list[str]:
    value = values.get(goal.key)
    if value is None:
        return ["", ""]
    least, most = values.get(f"{goal.key}_min"), values.get(f"{goal.key}_max")
    spread = f" ({least:.3g} to {most:.3g})" if least is not None and most is not None else ""
    return [f"{value:.3g} {goal.unit}{spread}", f"{value / goal.limit:.2f}"]


def draw(found: Found, folder: Path) -> None:
    """The plots."""
    names = ("embedded", "stack")
    rows = []
    for goal in GOALS:
        values = {
            name if name in names else names[0]: found[name][goal.scenario][goal.key] / goal.limit
            for name in goal.runs
            if goal.key in found.get(name, {}).get(goal.scenario, {})
        }
        if values:
            rows.append((goal.what, {name: max(value, 0.0) for name, value in values.items()}))
    if rows:
        (folder / "targets.svg").write_text(plots.bars("Figures as shares of their targets", rows, names))
    scale = found.get("scale", {}).get("scale_exponent", {})
    curves: dict[str, list[tuple[float, float]]] = {}
    for key, value in scale.items():
        name, _, size = key.rpartition("_")
        if size.isdigit():
            milliseconds = value * (1000 if name == "storm" else 1)
            curves.setdefault(name, []).append((float(size), milliseconds / float(size) * 1000))
    if curves:
        title = "CPU per client as the tailnet grows (level is linear in all)"
        text = plots.lines(title, "clients", "microseconds per client", curves)
        (folder / "growth.svg").write_text(text)


def main(arguments: list[str]) -> int:
    """Measure what is asked for, then write table and plots from all that is there."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench figures", description=__doc__)
    parser.add_argument("--into", type=Path, default=FOLDER)
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--idle", type=int, default=5000)
    parser.add_argument("--only", action="append", default=[])
    options = parser.parse_args(arguments)
    options.into.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    known = runs(options.clients, options.idle)
    for name, measure in known.items():
        if options.only and name not in options.only:
            continue
        print(f"== {name}, {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
        try:
            figures = measure()
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            continue
        size = {"relay": 0, "idle": options.idle, "idle-tls": options.idle}.get(name, options.clients)
        command.write(options.into / f"{name}.json", size, figures)
    said = {
        name: json.loads((options.into / f"{name}.json").read_text())
        for name in known
        if (options.into / f"{name}.json").exists()
    }
    found = {name: one["scenarios"] for name, one in said.items()}
    (options.into / "results.md").write_text(results(found, said))
    draw(found, options.into)
    print((options.into / "results.md").read_text())
    print(f"{time.monotonic() - start:.0f} s", file=sys.stderr)
    return int(any("wrong" in values for one in found.values() for values in one.values()))
