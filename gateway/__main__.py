"""The gateway as a process of its own: `python -m gateway -c config.yaml`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from gateway.process.workers import run_worker, run_workers
from services.shared.config import ConfigError, load


def main() -> int:
    """Run one gateway, the supervisor of several, or (as that starts it) one of these; the exit status."""
    parser = argparse.ArgumentParser(prog="smartscale serve gateway")
    parser.add_argument("-c", "--config", type=Path, default=None, metavar="FILE")
    parser.add_argument("--worker", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    try:
        config = load(arguments.config, os.environ)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if config.gateway.workers > 1 and not arguments.worker:
        return run_workers(config)
    from gateway.wiring import build

    if arguments.worker:
        return run_worker(config, arguments.worker, build)
    from services.shared.runtime.process import run

    return run(config, {"gateway": build}, together=False)


if __name__ == "__main__":
    sys.exit(main())
