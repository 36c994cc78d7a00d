"""Rate limits: token buckets, one or many by key, in bounded memory. Owns no clock.

Every time is a monotonic instant in seconds that the caller passes. Nothing is locked for good: a bucket refills.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

CAPACITY = 16384
"""Buckets kept where the caller names no other number: about 2 MB."""

_FORGOTTEN_PER_CALL = 2
"""A full bucket is as good as none: with each call at most this many of the oldest full ones are forgotten."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate: `burst` calls at once, and the calls added per second."""

    burst: float
    per_second: float

    def level(self, tokens: float, since: float, now: float) -> float:
        """Return the tokens at `now` of a bucket that had `tokens` at `since`."""
        return min(self.burst, tokens + max(0.0, now - since) * self.per_second)


class Bucket:
    """One token bucket, full at the start."""

    __slots__ = ("_rate", "_since", "_tokens")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = rate.burst
        self._since = now

    def spend(self, now: float) -> bool:
        """Take one token. Returns False if there is none."""
        self._tokens = self._rate.level(self._tokens, self._since, now)
        self._since = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Buckets:
    """A token bucket for each key. At capacity the bucket used least recently is forgotten, so it counts as full."""

    def __init__(self, rate: Rate, capacity: int = CAPACITY) -> None:
        self._rate = rate
        self._capacity = capacity
        self._levels: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def wait(self, key: Hashable, now: float) -> int:
        """Return the whole seconds until this key may call again; 0 means now."""
        delay = self.delay(key, now)
        return max(1, math.ceil(delay)) if delay > 0 else 0

    def delay(self, key: Hashable, now: float) -> float:
        """Return the seconds until this key may call again; 0 or less means now."""
        return (1 - self._level(key, now)) / self._rate.per_second

    def take(self, key: Hashable, now: float) -> None:
        """Count one call. The level never falls below 0, so refused calls do not lengthen the wait."""
        self._levels[key] = (max(0.0, self._level(key, now) - 1), now)
        self._levels.move_to_end(key)
        while len(self._levels) > self._capacity:
            self._levels.popitem(last=False)
        for _ in range(_FORGOTTEN_PER_CALL):
            oldest = next(iter(self._levels), None)
            if oldest is None or self._level(oldest, now) < self._rate.burst:
                break
            del self._levels[oldest]

    def _level(self, key: Hashable, now: float) -> float:
        tokens, since = self._levels.get(key, (self._rate.burst, now))
        return self._rate.level(tokens, since, now)


def buckets_of(per_second: float, burst_seconds: float, capacity: int = CAPACITY) -> Buckets | None:
    """Return the limit that a configuration key names, with a burst of that many seconds; None where it is 0 (off)."""
    return Buckets(Rate(max(1.0, per_second * burst_seconds), per_second), capacity) if per_second > 0 else None


def network_of(address: str) -> str:
    """Return the part of an address that one subscriber holds: the IPv4 address, or the /64 of an IPv6 address.

    Text that is no address is returned cut to 64 characters.

    >>> network_of("192.0.2.7"), network_of("2001:db8::1:2:3:4")
    ('192.0.2.7', '2001:db8::/64')
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))
