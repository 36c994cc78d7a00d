"""`python -m services.derp`: the relay alone in its process."""

from services.derp.wiring import build
from services.shared.runtime.process import run_alone

if __name__ == "__main__":
    run_alone(build, "derp")
