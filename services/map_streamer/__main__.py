"""`python -m services.map_streamer`: the map streamer alone in its process."""

from services.map_streamer.wiring import build
from services.shared.runtime.process import run_alone

if __name__ == "__main__":
    run_alone(build, "map_streamer")
