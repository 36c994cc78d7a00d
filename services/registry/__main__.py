"""`python -m services.registry`: the registry alone in its process."""

from services.registry.wiring import build
from services.shared.runtime.process import run_alone

if __name__ == "__main__":
    run_alone(build, "registry")
