"""Limits on registrations in this process: requests of each machine key, and failures of each network.

Successes count for no network, so that a thousand nodes behind one address may all restart at once. Known nodes are
admitted independently of their network.
"""

from __future__ import annotations

from services.auth.model.errors import TooManyError
from services.shared.keys import MachineKey
from services.shared.rate import Buckets, Rate, network_of
from services.shared.runtime.clock import Clock

MACHINE = Rate(burst=60, per_second=1)
"""Rate for one machine key: a client with a refused key sends about 11 requests in 5 seconds, then one every 30."""
NETWORK = Rate(burst=300, per_second=10)
CAPACITY = 16384
"""Buckets kept of each kind, about 2 MB."""


class Throttle:
    """The limits of one process."""

    def __init__(
        self, clock: Clock, machine: Rate = MACHINE, network: Rate = NETWORK, capacity: int = CAPACITY
    ) -> None:
        self._clock = clock
        self._machines = Buckets(machine, capacity)
        self._networks = Buckets(network, capacity)

    def attempt(self, machine_key: MachineKey) -> None:
        """Count a request of a machine.

        Raises:
            TooManyError: it asks too often.
        """
        now = self._clock.monotonic()
        self._check(self._machines, str(machine_key), now)
        self._machines.take(str(machine_key), now)

    def check_network(self, address: str) -> None:
        """Check the network of a machine that is not known yet.

        Raises:
            TooManyError: its network had too many failures.
        """
        self._check(self._networks, network_of(address), self._clock.monotonic())

    def failure(self, address: str) -> None:
        """Count a request that did not admit a node."""
        self._networks.take(network_of(address), self._clock.monotonic())

    def _check(self, buckets: Buckets, key: str, now: float) -> None:
        if seconds := buckets.wait(key, now):
            raise TooManyError(f"too many registrations; try again in {seconds} s", seconds)
