"""How often a caller may call: token buckets by caller in bounded memory. The clock is an argument."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Hashable

CAPACITY = 16384
_FORGET_AT_ONCE = 2
"""A bucket that is full again is as good as none: with each call so many of those are forgotten."""


class Buckets:
    """Token buckets; the one used least recently is forgotten when there are too many."""

    def __init__(self, burst: float, per_second: float, capacity: int = CAPACITY) -> None:
        self._burst, self._per_second, self._capacity = burst, per_second, capacity
        self._levels: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def wait(self, caller: Hashable, now: float) -> int:
        """Whole seconds until this caller may call again; 0: now."""
        delay = self.delay(caller, now)
        return max(1, math.ceil(delay)) if delay > 0 else 0

    def delay(self, caller: Hashable, now: float) -> float:
        """Seconds until this caller may call again; 0 or less: now."""
        return (1 - self._level(caller, now)) / self._per_second

    def take(self, caller: Hashable, now: float) -> None:
        """Count one call."""
        self._levels[caller] = (max(0.0, self._level(caller, now) - 1), now)
        self._levels.move_to_end(caller)
        while len(self._levels) > self._capacity:
            self._levels.popitem(last=False)
        for _ in range(_FORGET_AT_ONCE):
            oldest = next(iter(self._levels))
            if self._level(oldest, now) < self._burst:
                break
            del self._levels[oldest]

    def _level(self, caller: Hashable, now: float) -> float:
        level, then = self._levels.get(caller, (self._burst, now))
        return min(self._burst, level + max(0.0, now - then) * self._per_second)


def network_of(address: str) -> str:
    """What one subscriber holds: an IPv4 address, the /64 of an IPv6 address."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))
