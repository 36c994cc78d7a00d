"""`python -m services.auth`: auth alone in its process."""

from services.auth.wiring import build
from services.shared.process import run_alone

if __name__ == "__main__":
    run_alone(build, "auth")
