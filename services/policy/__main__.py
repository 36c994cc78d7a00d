"""`python -m services.policy`: policy alone in its process."""

from services.policy.wiring import build
from services.shared.runtime.process import run_alone

if __name__ == "__main__":
    run_alone(build, "policy")
