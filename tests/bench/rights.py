"""How long a change of somebody's rights takes until real clients feel it: `python -m tests.bench rights`.

Alice's client (tsnet 1.102.3) opens a new TCP connection to Bob's (tsnet 1.90.9) forty times a second, each behind a
NAT router of its own. Measured is from the call that the command makes, or from the request that brings the provider's
answer, to the last connection that still went through, or the first that did again.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from tests.bench.load.account import machine
from tests.e2e import clients, lab, servers
from tests.e2e.lab import Lab
from tests.e2e.providers import Mock
from tests.e2e.rights import Pair
from tests.e2e.servers import Embedded, Stack

ROUND: tuple[tuple[str, Callable[[Pair], float]], ...] = (
    ("suspended_peer", lambda pair: pair.cut_after(pair.suspend("bob"))),
    ("restored_peer", lambda pair: pair.open_after(pair.restore("bob"))),
    ("suspended_self", lambda pair: pair.cut_after(pair.suspend("alice@example.com"))),
    ("restored_self", lambda pair: pair.open_after(pair.restore("alice@example.com"))),
    ("group_lost", lambda pair: pair.cut_after(pair.log_in())),
    ("group_gained", lambda pair: pair.open_after(pair.log_in("dev"))),
)
"""What is done, in this order, to the same two clients."""


def missing() -> str | None:
    """Why nothing can be measured here, or None."""
    return lab.missing() or clients.missing() or Mock.missing()


def measure(pair: Pair, repeats: int) -> dict[str, list[float]]:
    """Seconds of each change, as often as wanted."""
    seconds: dict[str, list[float]] = {name: [] for name, _ in ROUND}
    for number in range(repeats):
        for name, change in ROUND:
            seconds[name].append(change(pair))
        print(f"round {number + 1} of {repeats}", file=sys.stderr, flush=True)
    return seconds


def main(arguments: list[str]) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench rights", description=__doc__)
    parser.add_argument("-n", "--repeats", type=int, default=20)
    parser.add_argument("--stack", action="store_true", help="every part a process, on PostgreSQL and Redis")
    parser.add_argument("--json", type=Path, help="write the figures here")
    chosen = parser.parse_args(arguments)
    if reason := missing() or (servers.missing_for_stack() if chosen.stack else None):
        print(f"rights: not measured: {reason}", file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        net = Lab(Path(folder))
        pair = None
        try:
            pair = Pair(net, Stack if chosen.stack else Embedded)
            pair.start()
            seconds = measure(pair, chosen.repeats)
        finally:
            if pair is not None:
                pair.close()
            net.close()
    print(f"{'':16}{'median':>9}{'worst':>9}")
    for name, values in seconds.items():
        print(f"{name:16}{median(values) * 1000:7.0f}ms{max(values) * 1000:7.0f}ms")
    if chosen.json:
        figures = {
            name: {"median_ms": round(median(values) * 1000, 1), "worst_ms": round(max(values) * 1000, 1)}
            for name, values in seconds.items()
        }
        shape = "stack" if chosen.stack else "embedded"
        report = {"shape": shape, "repeats": chosen.repeats, "machine": machine(), "changes": figures}
        chosen.json.write_text(json.dumps(report, indent=1) + "\n")
    return 0
