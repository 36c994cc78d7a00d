"""The model for as long as wanted: `python -m tests.model SECONDS [SEED]`, each round with a fresh seed, printed.

With a seed it plays that round once, and so plays a failure again.
"""

from __future__ import annotations

import logging
import random
import sys
import time

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import Tailnet, tally

ROUND = settings(
    max_examples=25,
    stateful_step_count=80,
    deadline=None,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


def play(number: int) -> None:
    """One round of lives."""

    class Seeded(Tailnet):
        pass

    run_state_machine_as_test(seed(number)(Seeded), settings=ROUND)


def main() -> int:
    """Play until the time is over or something is wrong."""
    logging.disable(logging.CRITICAL)
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    chosen = int(sys.argv[2]) if len(sys.argv) > 2 else None
    start, rounds = time.monotonic(), 0
    while not rounds or (chosen is None and time.monotonic() - start < seconds):
        number = random.SystemRandom().getrandbits(48) if chosen is None else chosen
        print(f"seed {number}", flush=True)
        try:
            play(number)
        except BaseException as error:
            print(f"seed {number}: {type(error).__name__}: {error}", *getattr(error, "__notes__", ()), sep="\n")
            return 1
        rounds += 1
    print(
        f"{rounds} rounds in {time.monotonic() - start:.0f} s without a difference: {tally.lives} lives, {tally.steps}"
        f" steps, {tally.settled} times settled, {tally.compared} netmaps compared in between"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
