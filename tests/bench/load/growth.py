"""How CPU per client grows, measured on servers of several sizes by turns, so that a busy moment is no size's alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.bench.load.fleet import Fleet
from tests.bench.load.scenarios import fanout_patch, join, reconnect_storm, slope


class Growth:
    """The least CPU seconds per client of a change, a join and a storm, for each of some fleets."""

    def __init__(self, fleets: Mapping[int, Fleet]) -> None:
        """Fleets by their size, each on a server of its own, with all their devices."""
        self._fleets = fleets
        self.least: dict[str, dict[int, float]] = {"fanout": {}, "join": {}, "storm": {}}

    async def turn(self) -> None:
        """Measure each once more. Noise only adds, so that the least of all turns comes ever closer to what is true."""
        for size, fleet in self._fleets.items():
            # By how many they are by now: a join leaves one more.
            self._note("fanout", size, (await fanout_patch(fleet, 3))["cpu_ms_min"] / 1000 / len(fleet.devices))
            # At once: of those who come one by one the first are told of the others, by chance more or less often.
            self._note("storm", size, (await reconnect_storm(fleet, 0.0))["cpu_s"] / len(fleet.devices))
            self._note("join", size, (await join(fleet, 1))["cpu_ms_min"] / 1000 / len(fleet.devices))

    def _note(self, name: str, size: int, seconds: float) -> None:
        known = self.least[name]
        known[size] = min(seconds, known.get(size, seconds))

    def exponents(self) -> dict[str, float]:
        """The exponent of each growth: 0 is a cost in the number of clients, 1 in its square."""
        return {name: slope(list(found.items())) for name, found in self.least.items()}

    def steep(self, most: Mapping[str, float]) -> Sequence[str]:
        """What has a greater exponent than it may."""
        return [name for name, exponent in self.exponents().items() if exponent > most[name]]
