"""Rate limits on opening tunnels: per network before the handshake, per machine key. Knows no socket.

A network is limited before the handshake costs anything; it may be a proxy's or an office's, so its limit only bounds
the total cost. A machine key is charged when its first record has decrypted and never earlier: an initiation can be
replayed by anyone who captured it, and a replay must not use up the machine's own allowance.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from gateway.edge.settings import EdgeCounts, EdgeSettings
from services.shared.keys import MachineKey
from services.shared.rate import Buckets, buckets_of, network_of

NETWORK_BURST_SECONDS = 10
MACHINE_BURST_SECONDS = 15
CAPACITY = 1 << 17
"""Networks, and machine keys, that are remembered; the least recently seen is forgotten first."""


class HandshakeRates:
    """Token buckets of networks and machine keys. A refused attempt is not charged."""

    def __init__(self, settings: EdgeSettings, counts: EdgeCounts, now: Callable[[], float] = time.monotonic) -> None:
        self._counts, self._now = counts, now
        self._networks = buckets_of(settings.handshakes_per_second, NETWORK_BURST_SECONDS, CAPACITY)
        self._machines = buckets_of(settings.reconnects_per_second, MACHINE_BURST_SECONDS, CAPACITY)

    def charge_network(self, address: str) -> int:
        """Charge a handshake to the network of an address. Returns whole seconds to wait; 0: admitted."""
        wait = _charge(self._networks, network_of(address), self._now()) if self._networks is not None else 0
        self._counts.refused_address_rate += wait > 0
        return wait

    def machine_wait(self, machine: MachineKey) -> int:
        """Return whole seconds until a machine may open a tunnel (0: now), without charging it."""
        wait = self._machines.wait(machine, self._now()) if self._machines is not None else 0
        self._counts.refused_machine_rate += wait > 0
        return wait

    def charge_machine(self, machine: MachineKey) -> int:
        """Charge an authenticated tunnel to its machine. Returns whole seconds to wait; 0: admitted."""
        wait = _charge(self._machines, machine, self._now()) if self._machines is not None else 0
        self._counts.refused_machine_rate += wait > 0
        return wait


def _charge(buckets: Buckets, caller: str | MachineKey, now: float) -> int:
    wait = buckets.wait(caller, now)
    if not wait:
        buckets.take(caller, now)
    return wait
