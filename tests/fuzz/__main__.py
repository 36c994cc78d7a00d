"""Throws texts at the readers of policies for a time: `python -m tests.fuzz [SECONDS]`.

Each round has a seed of its own, told at its end, so that a failure can be run again with `--seed N`.
"""

from __future__ import annotations

import argparse
import secrets
import time

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

from tests.fuzz.mutations import seeds, texts
from tests.fuzz.policy import check_all, check_differential

ROUND = 2000


def main() -> int:
    """Run until the time is over; the first failing text is shrunk and shown."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("seconds", nargs="?", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    start = seeds()
    for text in start:
        check_differential(text)
    print(f"{len(start)} texts to start from, each read alike by both readers", flush=True)
    seed = arguments.seed if arguments.seed is not None else secrets.randbelow(1 << 32)
    end, done = time.monotonic() + arguments.seconds, 0
    while time.monotonic() < end:
        done += _round(start, seed, end)
        print(f"seed {seed}: {done} texts so far, {max(0.0, end - time.monotonic()):.0f} s left", flush=True)
        seed += 1
    print(f"{done} texts, nothing found")
    return 0


def _round(start: list[str], seed: int, end: float) -> int:
    count = 0

    @seeded(seed)
    @settings(
        max_examples=ROUND,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(texts(start))
    def one(text: str) -> None:
        nonlocal count
        if time.monotonic() < end:
            check_all(text)
            count += 1

    one()
    return count


if __name__ == "__main__":
    raise SystemExit(main())
