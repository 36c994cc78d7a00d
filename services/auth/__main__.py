"""`python -m services.auth`: auth alone in its process."""

from services.auth.wiring import build
from services.shared.runtime.process import run_alone

if __name__ == "__main__":
    run_alone(build, "auth")
