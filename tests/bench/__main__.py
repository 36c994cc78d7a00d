"""Measurements: `python -m tests.bench load …` of a whole server, `… relay` of the relay and STUN, `… policy` of the
policy alone, `… rights` of real clients whose rights change, `… large` of administration of 100,000 nodes, `… chaos` of
real clients among simulated ones under churn; `… figures` measures all that has a target and writes it into
docs/benchmarks.

Without a name the usual ones run with their defaults.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from tests.bench import chaos, figures, large, policy, relay, rights
from tests.bench.load import command

BENCHES: Mapping[str, Callable[[list[str]], int]] = {
    "load": command.main,
    "relay": relay.main,
    "figures": figures.main,
    "chaos": chaos.main,
    "large": large.main,
    "policy": lambda _arguments: policy.main(),
    "rights": rights.main,
}

USUAL = ("load", "relay", "policy")


def main() -> int:
    """Run what was asked for; the exit status is that of the worst."""
    if len(sys.argv) == 1:
        return max(BENCHES[name]([]) for name in USUAL)
    name, *arguments = sys.argv[1:]
    if name not in BENCHES:
        print(f"no such benchmark: {name}; there are: {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    return BENCHES[name](arguments)


if __name__ == "__main__":
    raise SystemExit(main())
