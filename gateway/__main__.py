"""The gateway as a process of its own: `python -m gateway -c config.yaml`."""

from __future__ import annotations

from gateway.wiring import build
from services.shared.process import run_alone

if __name__ == "__main__":
    run_alone(build, "gateway")
