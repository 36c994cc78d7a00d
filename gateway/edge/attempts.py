"""How often one address, and one machine, may open tunnels. Knows no socket; the clock is an argument.

An address is asked before the handshake costs anything; it may be that of a proxy or of a whole office, so its limit
only bounds what all of them cost. The machine is known once the handshake proves its key.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gateway.edge.settings import EdgeCounts, EdgeSettings
from services.shared.keys import MachineKey
from services.shared.rate import Buckets, buckets_of, network_of

ADDRESS_BURST_SECONDS = 10
MACHINE_BURST_SECONDS = 15
CAPACITY = 1 << 17
"""Addresses, and machines, that are remembered; the one seen least recently is forgotten first."""


class Attempts:
    """Counts attempts against the limits; a refused one is not counted against them."""

    def __init__(self, settings: EdgeSettings, counts: EdgeCounts, now: Callable[[], float] = time.monotonic) -> None:
        self._counts, self._now = counts, now
        self._addresses = buckets_of(settings.handshakes_per_second, ADDRESS_BURST_SECONDS, CAPACITY)
        self._machines = buckets_of(settings.reconnects_per_second, MACHINE_BURST_SECONDS, CAPACITY)

    def from_address(self, address: str) -> int:
        """Whole seconds that this address must wait; 0: the attempt is counted."""
        wait = _take(self._addresses, network_of(address), self._now()) if self._addresses is not None else 0
        self._counts.refused_address_rate += wait > 0
        return wait

    def of_machine(self, machine: MachineKey) -> int:
        """Whole seconds that this machine must wait; 0: the attempt is counted."""
        wait = _take(self._machines, machine, self._now()) if self._machines is not None else 0
        self._counts.refused_machine_rate += wait > 0
        return wait


def _take(buckets: Buckets, caller: str | MachineKey, now: float) -> int:
    wait = buckets.wait(caller, now)
    if not wait:
        buckets.take(caller, now)
    return wait
