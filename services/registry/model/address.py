"""Assignment of addresses from a prefix: next or random free one. Owns the ranges that clients refuse or reserve.

Clients treat only 100.64.0.0/10 (without ChromeOS's 100.115.92.0/23) and fd7a:115c:a1e0::/48 as Tailscale's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Protocol

from services.registry.model.errors import ExhaustedError

RESERVED = (
    "100.100.0.0/24",  # reserved by the hosted service
    "100.100.100.100/32",  # MagicDNS
    "100.115.92.0/23",  # ChromeOS's virtual machines
    "fd7a:115c:a1e0::53/128",  # MagicDNS
    "fd7a:115c:a1e0:b1a::/64",  # 4via6 routes
)
_RANDOM_TRIES = 64


class Random(Protocol):
    """The part of `random.Random` that is used here."""

    def randrange(self, start: int, stop: int, /) -> int:
        """Return an integer from `start` up to, not including, `stop`."""
        ...


@dataclass(frozen=True, slots=True)
class Pool:
    """The assignable addresses of one prefix."""

    prefix: str
    first: int
    last: int
    reserved: tuple[tuple[int, int], ...]
    """Ranges inside the prefix, ends included, sorted, without overlap."""
    is_v6: bool

    @classmethod
    def of(cls, prefix: str) -> Pool:
        """Return the pool of a CIDR prefix; network address and IPv4 broadcast address are never assigned."""
        network = ip_network(prefix)
        first, last = int(network.network_address), int(network.broadcast_address)
        if network.num_addresses > 2:
            first, last = first + 1, last - (1 if network.version == 4 else 0)
        kept: list[tuple[int, int]] = []
        for text in RESERVED:
            other = ip_network(text)
            if _overlap(network, other):
                kept.append((max(first, int(other.network_address)), min(last, int(other.broadcast_address))))
        return cls(prefix, first, last, _joined(kept), network.version == 6)

    def text(self, number: int) -> str:
        """Return the address as text."""
        return _text(number, self.is_v6)

    def holds(self, address: str) -> bool:
        """Return whether the address lies in the prefix."""
        number = int(ip_address(address))
        return self.is_v6 == (":" in address) and self.first <= number <= self.last

    def gives(self, address: str) -> bool:
        """Return whether the pool may assign the address."""
        if not self.holds(address):
            return False
        number = int(ip_address(address))
        return not any(low <= number <= high for low, high in self.reserved)

    def without(self, prefixes: Iterable[str]) -> Pool:
        """Return the pool without the addresses of some prefixes."""
        kept = list(self.reserved)
        for text in prefixes:
            other = ip_network(text)
            if (other.version == 6) is self.is_v6:
                low, high = max(self.first, int(other.network_address)), min(self.last, int(other.broadcast_address))
                if low <= high:
                    kept.append((low, high))
        return replace(self, reserved=_joined(kept))

    @property
    def size(self) -> int:
        """Number of addresses that can be assigned in total."""
        return self.last - self.first + 1 - sum(high - low + 1 for low, high in self.reserved if low <= high)

    def after(self, number: int) -> int:
        """Return the next address that may be assigned, wrapping around at the end."""
        number += 1
        for low, high in self.reserved:
            if low <= number <= high:
                number = high + 1
        if number > self.last or number < self.first:
            return self.after(self.first - 1)
        return number


def sequential(pool: Pool, is_assigned: Callable[[str], bool], held_count: int, last: str) -> str:
    """Return the first free address after the last assigned one, so that a freed address is reused as late as possible.

    Raises:
        ExhaustedError: every address of the prefix is assigned.
    """
    start = int(ip_address(last)) if last and pool.holds(last) else pool.first - 1
    return _search(pool, is_assigned, held_count, start)


def at_random(pool: Pool, is_assigned: Callable[[str], bool], held_count: int, random: Random) -> str:
    """Return a random free address.

    Raises:
        ExhaustedError: every address of the prefix is assigned.
    """
    number = pool.first
    for _ in range(_RANDOM_TRIES):
        number = random.randrange(pool.first, pool.last + 1)
        if pool.size > 0 and pool.after(number - 1) == number and not is_assigned(pool.text(number)):
            return pool.text(number)
    return _search(pool, is_assigned, held_count, number)


def _search(pool: Pool, is_assigned: Callable[[str], bool], held_count: int, start: int) -> str:
    if held_count >= pool.size:
        raise ExhaustedError(f"no address is left in {pool.prefix}")
    number = start
    for _ in range(held_count + 1):
        number = pool.after(number)
        text = pool.text(number)
        if not is_assigned(text):
            return text
    raise ExhaustedError(f"no address is left in {pool.prefix}")


def _joined(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Sort ranges and merge overlapping ones."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if joined and low <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(joined[-1][1], high)
        else:
            joined.append((low, high))
    return tuple(joined)


def _text(number: int, is_v6: bool) -> str:
    if not is_v6:
        return ".".join(str(byte) for byte in number.to_bytes(4, "big"))
    return str(ip_address(number.to_bytes(16, "big")))


def _overlap(one: IPv4Network | IPv6Network, other: IPv4Network | IPv6Network) -> bool:
    if isinstance(one, IPv4Network) and isinstance(other, IPv4Network):
        return one.overlaps(other)
    return isinstance(one, IPv6Network) and isinstance(other, IPv6Network) and one.overlaps(other)
