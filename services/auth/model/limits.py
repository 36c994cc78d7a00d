"""How often a client may try: token buckets by key in bounded memory. The clock is an argument.

Nothing is locked for good and no user is ever locked: a bucket belongs to a machine key or to an address, and refills.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and so many a second after that."""

    burst: float
    per_second: float


class Buckets:
    """Token buckets for many keys; the least recently used is forgotten when there are too many."""

    def __init__(self, rate: Rate, capacity: int) -> None:
        self._rate = rate
        self._capacity = capacity
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def wait(self, key: str, now: float) -> int:
        """Whole seconds until this key may try again; 0: now."""
        level = self._level(key, now)
        return 0 if level >= 1 else max(1, math.ceil((1 - level) / self._rate.per_second))

    def take(self, key: str, now: float) -> None:
        """Count one attempt. A bucket does not go below empty, so that a storm does not lengthen its own sentence."""
        self._levels[key] = (max(0.0, self._level(key, now) - 1), now)
        self._levels.move_to_end(key)
        while len(self._levels) > self._capacity:
            self._levels.popitem(last=False)

    def _level(self, key: str, now: float) -> float:
        level, then = self._levels.get(key, (self._rate.burst, now))
        return min(self._rate.burst, level + max(0.0, now - then) * self._rate.per_second)


def network_of(address: str) -> str:
    """The part of an address that one subscriber holds: an IPv4 address, an IPv6 /64. Other text is cut."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(ipaddress.ip_network((ip, 64), strict=False))
    return str(ip)
