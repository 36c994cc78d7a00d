"""Which addresses nodes get."""

from __future__ import annotations

import random
from ipaddress import ip_address, ip_network

import pytest

from services.registry.model.address import RESERVED, Pool, at_random, sequential
from services.registry.model.errors import ExhaustedError


class Held:
    """Addresses given so far."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.all: set[str] = set()
        self.last = ""

    def sequential(self) -> str:
        self.last = sequential(self.pool, self.all.__contains__, len(self.all), self.last)
        self.all.add(self.last)
        return self.last

    def at_random(self, chance: random.Random) -> str:
        found = at_random(self.pool, self.all.__contains__, len(self.all), chance)
        self.all.add(found)
        return found


def test_the_first_addresses_follow_the_network_address() -> None:
    v4, v6 = Held(Pool.of("100.64.0.0/10")), Held(Pool.of("fd7a:115c:a1e0::/48"))
    assert [v4.sequential() for _ in range(3)] == ["100.64.0.1", "100.64.0.2", "100.64.0.3"]
    assert [v6.sequential() for _ in range(2)] == ["fd7a:115c:a1e0::1", "fd7a:115c:a1e0::2"]


def test_a_full_prefix_gives_every_address_but_network_and_broadcast_and_then_says_so() -> None:
    held = Held(Pool.of("100.64.7.0/29"))
    given = [held.sequential() for _ in range(6)]
    assert given == [f"100.64.7.{number}" for number in range(1, 7)]
    with pytest.raises(ExhaustedError, match=r"no address is left in 100\.64\.7\.0/29"):
        held.sequential()


def test_a_freed_address_rests_until_the_others_were_used() -> None:
    held = Held(Pool.of("100.64.7.0/29"))
    for _ in range(3):
        held.sequential()
    held.all.discard("100.64.7.1")
    assert [held.sequential() for _ in range(4)] == [f"100.64.7.{number}" for number in (4, 5, 6, 1)]


@pytest.mark.parametrize(
    ("prefix", "last", "following"),
    [
        ("100.64.0.0/10", "100.99.255.255", "100.100.1.0"),
        ("100.64.0.0/10", "100.100.100.99", "100.100.100.101"),
        ("100.64.0.0/10", "100.115.91.255", "100.115.94.0"),
        ("100.64.0.0/10", "100.127.255.254", "100.64.0.1"),
        ("fd7a:115c:a1e0::/48", "fd7a:115c:a1e0::52", "fd7a:115c:a1e0::54"),
        ("fd7a:115c:a1e0::/48", "fd7a:115c:a1e0:b19:ffff:ffff:ffff:ffff", "fd7a:115c:a1e0:b1b::"),
    ],
)
def test_ranges_with_another_meaning_are_stepped_over(prefix: str, last: str, following: str) -> None:
    assert sequential(Pool.of(prefix), set[str]().__contains__, 0, last) == following


@pytest.mark.parametrize(
    "prefix", ["100.115.92.0/23", "100.100.0.0/24", "100.100.100.100/32", "fd7a:115c:a1e0::53/128"]
)
def test_a_prefix_of_reserved_addresses_alone_gives_nothing(prefix: str) -> None:
    pool = Pool.of(prefix)
    with pytest.raises(ExhaustedError):
        sequential(pool, set[str]().__contains__, 0, "")
    with pytest.raises(ExhaustedError):
        at_random(pool, set[str]().__contains__, 0, random.Random(1))


def test_a_prefix_of_one_address_gives_that_one() -> None:
    held = Held(Pool.of("100.64.0.9/32"))
    assert held.sequential() == "100.64.0.9"
    with pytest.raises(ExhaustedError):
        held.sequential()


def test_chance_finds_every_last_address_once() -> None:
    held, chance = Held(Pool.of("100.100.100.96/28")), random.Random(7)
    given = [held.at_random(chance) for _ in range(13)]
    assert len(set(given)) == 13 == held.pool.size
    assert "100.100.100.100" not in given
    with pytest.raises(ExhaustedError):
        held.at_random(chance)


def test_chance_never_leaves_the_prefix_nor_hits_a_reserved_range() -> None:
    pool, chance = Pool.of("100.115.88.0/21"), random.Random(3)
    reserved = [ip_network(text) for text in RESERVED]
    for _ in range(500):
        found = ip_address(at_random(pool, set[str]().__contains__, 0, chance))
        assert found in ip_network("100.115.88.0/21")
        assert not any(found in network for network in reserved if network.version == 4)
