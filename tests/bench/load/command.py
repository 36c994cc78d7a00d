"""`python -m tests.bench load`: arguments, the run, and what is printed."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from tests.bench.load.account import machine
from tests.bench.load.fleet import SAMPLED, Fleet
from tests.bench.load.hostile import hostile
from tests.bench.load.scenarios import GROUPS, SCENARIOS, Figures, scale_exponent
from tests.bench.load.stack import Stack
from tests.bench.load.target import Embedded, Somewhere, Target, raise_limits

APART = ("scale_exponent", "hostile")
"""Run only when named."""


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    found = argparse.ArgumentParser(prog="python -m tests.bench load", description=__doc__)
    found.add_argument("scenarios", nargs="*", help=f"of: {', '.join([*SCENARIOS, *APART])}")
    found.add_argument("-n", "--clients", type=int, default=1000)
    found.add_argument("--sampled", type=int, default=SAMPLED, help="devices whose netmaps are decoded and proved")
    found.add_argument("--url", action="append", help="a server that runs; several are doors of the same")
    found.add_argument("--auth-key", action="append", default=[], help="reusable; several make groups")
    found.add_argument("--pid", action="append", type=int, default=[], help="a process to account for")
    found.add_argument("--policy-command", default="", help="puts the policy in the file {} in force")
    found.add_argument("--restart-command", default="", help="restarts the server and prints the new PIDs")
    found.add_argument("--stack", action="store_true", help="start a process per part on PostgreSQL and Redis")
    found.add_argument("--tls", action="store_true", help="of the server started here: TLS in its own process")
    found.add_argument("--tags", action="store_true", help="of the server started here: one tag and key a group")
    found.add_argument("--json", type=Path, help="write the figures here")
    found.add_argument("--baseline", type=Path, help="compare with figures written before, by ratio")
    return found


def main(arguments: list[str]) -> int:
    """Run the scenarios; the status tells whether every netmap was right."""
    options = parser().parse_args(arguments)
    names = options.scenarios or list(SCENARIOS)
    if unknown := [name for name in names if name not in (*SCENARIOS, *APART)]:
        parser().error(f"no such scenario: {', '.join(unknown)}")
    raise_limits()
    if options.url:
        target: Target = Somewhere(
            options.url, options.auth_key, options.pid, options.policy_command, options.restart_command
        )
        figures = uvloop.run(run(target, names, options.clients, options.sampled))
    else:
        groups = GROUPS if options.tags or "fanout_patch_acl" in names else 1
        figures = measure(names, options.clients, options.sampled, groups, stack=options.stack, tls=options.tls)
    if options.json:
        write(options.json, options.clients, figures)
    baseline = json.loads(options.baseline.read_text())["scenarios"] if options.baseline else {}
    print(table(figures, baseline))
    return int(any("wrong" in found for found in figures.values()))


def measure(
    names: list[str], clients: int, sampled: int = SAMPLED, groups: int = 1, *, stack: bool = False, tls: bool = False
) -> dict[str, Figures]:
    """Run scenarios on a server of ours that is started for them."""
    raise_limits()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        server = Stack(Path(folder), groups) if stack else Embedded(Path(folder), groups, tls=tls)
        try:
            server.start()
            figures = uvloop.run(run(server, names, clients, sampled))
        finally:
            server.stop()
            for line in server.faults()[:10]:
                print(line, file=sys.stderr)
    return figures


def write(file: Path, clients: int, figures: dict[str, Figures]) -> None:
    """Keep figures, with what they were measured on."""
    result = {"clients": clients, "machine": machine(), "date": time.strftime("%Y-%m-%d"), "scenarios": figures}
    file.write_text(json.dumps(result, indent=1) + "\n")


async def run(target: Target, names: list[str], clients: int, sampled: int) -> dict[str, Figures]:
    """Run scenarios in order on one fleet."""
    fleet = await Fleet.at(target, sampled)
    figures: dict[str, Figures] = {}
    empty, before = target.account.pss(), target.account.cpu()
    if "scale_exponent" in names:
        figures["scale_exponent"] = await scale_exponent(fleet)
        names = [name for name in names if name != "scale_exponent"]
    started = time.monotonic()
    await fleet.grow(clients)
    await fleet.prove()
    if "scale_exponent" not in figures:
        figures["set_up"] = {
            "cpu_per_node_ms": (target.account.cpu() - before) / clients * 1000,
            "took_s": time.monotonic() - started,
            "memory_per_client_kib": (target.account.pss() - empty) / clients / 1024,
            "empty_mib": empty / 2**20,
        }
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        try:
            figures[name] = await (hostile if name == "hostile" else SCENARIOS[name])(fleet)
            if name == "idle":
                each = (figures[name]["pss_mib"] * 2**20 - empty) / len(fleet.devices)
                figures[name]["memory_per_client_kib"] = each / 1024
        except Exception as error:
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
            figures[name] = {"wrong": 1.0}
        print(f"  {figures[name]}", file=sys.stderr, flush=True)
    fleet.hang_up()
    await asyncio.sleep(0.1)
    return figures


def table(figures: dict[str, Figures], baseline: dict[str, Figures]) -> str:
    """The figures as text; with a baseline also how they relate to it."""
    lines = []
    for name, found in figures.items():
        for key, value in found.items():
            former = baseline.get(name, {}).get(key)
            if key.endswith(("_min", "_max")):
                continue
            least, most = found.get(f"{key}_min"), found.get(f"{key}_max")
            spread = "" if least is None or most is None else f"  {least:.3f} to {most:.3f}"
            ratio = f"{value / former:>8.2f}x" if former else " " * 9
            lines.append(f"{name:18} {key:24} {value:>12.3f}{ratio}{spread}")
    return "\n".join(lines)
